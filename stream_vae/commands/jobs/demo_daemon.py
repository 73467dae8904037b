"""The daemon of a demo: its configuration, its process, and all that it published."""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from stream_vae.commands.jobs.broker_notices import BrokerNotices
from stream_vae.core.alerts import AlertEvent
from stream_vae.edges.kafka.read.topic_reader import read_topic
from stream_vae.errors import ConfigError, StreamVaeError
from stream_vae.settings import Settings
from stream_vae.wire.alerts import decode_alert

_PROCESS = "stream_vae.commands.jobs.demo_process"
_START_WITHIN_S = 300.0
"""On a machine that does much else, torch alone takes a minute to import."""
_OUTPUTS = {
    "alerts_topic": "demo.alerts",
    "dead_letter_topic": "demo.dead-letters",
    "late_topic": "demo.late",
}


def demo_topics(input_topic: str) -> dict[str, int]:
    """Return name -> partitions of what the daemon reads and writes."""
    return dict.fromkeys([input_topic, *_OUTPUTS.values()], 1)


def make_out(out: Path) -> None:
    """Make the folder of a demo.

    Raises:
        ConfigError: If it cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigError(f"--out {out}: cannot be written: {exc.strerror}") from exc


def write_config(
    out: Path, bootstrap: str, reads: Mapping[str, Any], detection: Mapping[str, Any]
) -> Path:
    """Write the configuration that the daemon is started with.

    Args:
        out: Folder of the demo.
        bootstrap: Of the embedded broker.
        reads: The section `input`.
        detection: Further sections.
    """
    config = {
        "detector": {"name": "demo"},
        "bundle": {"path": str(out.resolve() / "bundle")},
        "input": dict(reads),
        "output": dict(_OUTPUTS),
        "kafka": {
            "bootstrap_servers": bootstrap,
            "group_id": "demo",
            "group_protocol": "consumer",
            "start": "earliest",
            "broker_deadline_s": 30.0,
        },
        "state": {"changelog": False},  # the embedded broker compacts nothing and makes no topic
        "http": {"port": 0},
        "worker": {"device": "cpu"},
        "logging": {"format": "json", "summary_period_s": 5.0},
        **detection,
    }
    path = out / "daemon.yaml"
    text = yaml.safe_dump(config, sort_keys=False)
    path.write_text(f"# Of the demo's daemon; its broker ended with it.\n{text}", encoding="utf-8")
    return path


@contextmanager
def running_daemon(config: Path, log: Path, *, stop_within_s: float) -> Iterator[None]:
    """Run `stream-vae run` from when it has its partitions until the end of the block.

    However the block ends, the daemon is asked to stop, and ends before the broker does. Should the
    demo be killed, it ends by itself.

    Args:
        config: Its configuration.
        log: File for its log.
        stop_within_s: Longest time that it may take to stop.

    Raises:
        StreamVaeError: If it does not start, or does not end as it is asked to.
    """
    with (
        log.open("w", encoding="utf-8") as file,
        subprocess.Popen(  # noqa: S603 -- our own program, our own arguments
            [sys.executable, "-m", _PROCESS, "run", "--config", str(config)],
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
            # Ctrl-C in a terminal is for the demo alone, which stops the daemon in its turn.
            process_group=0,
        ) as daemon,
    ):
        try:
            _await_assignment(daemon, log)
            yield
        finally:
            code = _stop(daemon, stop_within_s)
    if code != 0:
        msg = f"the daemon was asked to stop and ended with exit code {code}; its log: {log}"
        raise StreamVaeError(msg)


def _stop(daemon: "subprocess.Popen[bytes]", within_s: float) -> int:
    """Ask it to stop, and kill it if it does not; return its exit code."""
    try:
        daemon.terminate()
        with suppress(subprocess.TimeoutExpired):
            daemon.wait(timeout=within_s + 5)
    finally:
        daemon.kill()
    return daemon.wait()


def all_alerts(settings: Settings, console: Console) -> list[AlertEvent]:
    """Return all that stands in the topic, so that an event too many could not hide."""
    records = read_topic(
        settings.kafka,
        settings.output.alerts_topic,
        BrokerNotices(console, settings.kafka.bootstrap_servers),
        follow=False,
    )
    return [decode_alert(record.value or b"") for record in records]


def _await_assignment(daemon: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _START_WITHIN_S
    while "partitions_assigned" not in log.read_text(encoding="utf-8"):
        if daemon.poll() is not None or time.monotonic() > deadline:
            msg = f"the daemon did not start; its log: {log}"
            raise StreamVaeError(msg)
        time.sleep(0.1)
