"""The readers of logs by the name of their input format."""

from collections.abc import Callable, Mapping

from stream_vae.inputs.log_lines.json_reader import JsonLineReader
from stream_vae.inputs.log_lines.lines import LineReader
from stream_vae.inputs.log_lines.log_format import LogFormat, LogInputFormat
from stream_vae.inputs.log_lines.plain_reader import PlainLineReader


def _lines(fmt: LogFormat) -> LineReader:
    return PlainLineReader(fmt) if fmt.message_field is None else JsonLineReader(fmt)


def _events(fmt: LogFormat) -> LineReader:
    return JsonLineReader(fmt, of_events=True)


READERS: Mapping[LogInputFormat, Callable[[LogFormat], LineReader]] = {
    "log_lines": _lines,
    "log_events": _events,
}
"""Name in `input.format` -> reader."""


def build_line_reader(name: LogInputFormat, fmt: LogFormat) -> LineReader:
    """Return the reader of a format.

    Args:
        name: Of the format.
        fmt: The operator's choices.

    Raises:
        ConfigError: If the settings are inconsistent, or a pattern cannot be used.
    """
    return READERS[name](fmt)
