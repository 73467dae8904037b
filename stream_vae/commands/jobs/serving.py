"""Runs a daemon, or a forwarder, and tells what ends it where its log is read."""

import sys
from collections.abc import Callable

import typer

from stream_vae.daemon.service import Service
from stream_vae.edges.telemetry.config import LoggingConfig
from stream_vae.edges.telemetry.event_log import line_of
from stream_vae.edges.telemetry.logs import build_logger, is_for_machines
from stream_vae.errors import StreamVaeError, exit_code, on_one_line
from stream_vae.events import DaemonFailed
from stream_vae.settings import LoadedSettings


def serve_until_stopped(
    load: Callable[[], LoadedSettings], build: Callable[[LoadedSettings], Service]
) -> None:
    """Load settings and serve; what ends it is a line of the log, if that is for machines.

    In a terminal, and where the log is for people, the program prints it as that of any command.

    Raises:
        StreamVaeError: What ended it, to be printed.
        Exit: The same, with nothing left to print.
    """
    logging, service = LoggingConfig(), None
    try:
        loaded = load()
        logging = loaded.settings.logging
        service = build(loaded)
        service.serve()
    except StreamVaeError as exc:
        if not is_for_machines(logging, sys.stdout):
            raise
        if service is None or not service.has_logged(exc):
            line = line_of("error", DaemonFailed(error=type(exc).__name__, detail=on_one_line(exc)))
            build_logger(logging, sys.stdout).error(line.event, **line.fields)
        if sys.stderr.isatty():
            raise
        raise typer.Exit(exit_code(exc)) from exc
