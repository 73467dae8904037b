"""What a training reads: readings as they are, or the counts of lines."""

import time
from collections.abc import Callable
from pathlib import Path

from stream_vae.commands.jobs.input_files import TopicPeriod, open_files
from stream_vae.commands.jobs.log_history import LearntHistory, open_logs, read_logs
from stream_vae.commands.options import FileOptions
from stream_vae.core.log_templates import LogSpec
from stream_vae.edges.files.csv_header import ColumnChoice
from stream_vae.errors import ConfigError
from stream_vae.inputs.log_lines.readers import log_format_name
from stream_vae.settings import Settings


def read_training_history(
    source: list[Path] | TopicPeriod,
    choice: ColumnChoice,
    settings: Settings,
    options: FileOptions,
    step_seconds: float | None,
    *,
    before: Callable[[], LogSpec | None],
) -> LearntHistory:
    """Return the history: readings as they are, or the counts of lines.

    `before` gives the templates of an earlier training.
    """
    if log_format_name(settings.input) is not None:
        _check_windows(settings)
        return read_logs(
            lambda chosen: open_logs(source, chosen, options, settings),
            choice,
            settings,
            step_seconds=step_seconds,
            before=before(),
            now_ns=time.time_ns(),
        )
    if isinstance(source, TopicPeriod):
        # Imported here: training on files needs no Kafka client.
        from stream_vae.commands.jobs.topic_input import open_topic

        readings = open_topic(source, choice, settings).read()
    else:
        readings = open_files(source, choice, options, settings.input).read()
    return LearntHistory(readings=readings, choice=choice, step_seconds=step_seconds)


def _check_windows(settings: Settings) -> None:
    """Refuse a window length that lines of logs do not have.

    Raises:
        ConfigError: If it is 1 without sessions, or not 1 with them.
    """
    length = settings.model.window_length
    if settings.input.sessions is not None and length != 1:
        raise ConfigError(
            f"model.window_length: found {length}, expected 1: with input.session_pattern or "
            "session_field each session is a window"
        )
    if settings.input.sessions is None and length == 1:
        raise ConfigError(
            "model.window_length: found 1 for lines of a log, expected 2 or more steps; to judge "
            "sessions, the lines of a request, block or job together, expected "
            "input.session_pattern or session_field"
        )
