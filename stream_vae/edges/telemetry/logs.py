"""Log lines: JSON for machines, columns for eyes; secrets masked, times in UTC."""

import logging
import math
import re
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import nullcontext
from typing import Any, Protocol, TextIO

import msgspec
import structlog

from stream_vae.core.masking import mask
from stream_vae.edges.telemetry.config import LoggingConfig
from stream_vae.edges.telemetry.repeats import RepeatLimiter

# Texts come from the stream (series keys, broken records) and may be as long as a record.
MAX_TEXT = 500
MAX_ENTRIES = 100
_DIGITS = re.compile(r"\d+")
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class Logger(Protocol):
    """What the recorder needs of a logger; structlog's loggers have it."""

    def debug(self, event: str, **fields: Any) -> object:
        """Write a line for tracing."""

    def info(self, event: str, **fields: Any) -> object:
        """Write a line of the life cycle."""

    def warning(self, event: str, **fields: Any) -> object:
        """Write a line about trouble the daemon mends itself."""

    def error(self, event: str, **fields: Any) -> object:
        """Write a line that asks for a person."""


def build_logger(config: LoggingConfig, stream: TextIO) -> Logger:
    """Return a logger that writes to `stream`; no global state is touched."""
    is_terminal = stream.isatty()
    wants_json = config.format == "json" or (config.format == "auto" and not is_terminal)
    processors: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _mask_secrets,
        _shorten_texts,
    ]
    if wants_json:
        processors += [_head_first, structlog.processors.JSONRenderer(serializer=_to_json)]
    else:
        processors += [
            _escape_controls,
            structlog.dev.ConsoleRenderer(colors=is_terminal, sort_keys=False),
        ]
    logger: Logger = structlog.wrap_logger(
        structlog.PrintLogger(stream),
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[config.level]),
        context_class=dict,
        cache_logger_on_first_use=True,
    )
    return logger


class LibraryHandler(logging.Handler):
    """Sends what libraries log through the standard library to our logger, repeats held back.

    Messages that differ in digits alone (ports, durations) are of one kind.

    Args:
        logger: Where the lines go.
        period_s: Least time between two lines of one kind.
        clock: Monotonic seconds.
    """

    def __init__(self, logger: Logger, period_s: float, clock: Callable[[], float]) -> None:
        super().__init__(logging.WARNING)
        writers = {"warning": logger.warning, "error": logger.error}
        self._limiter = RepeatLimiter(
            lambda level, fields: writers[level]("library_logged", **fields), period_s
        )
        self._clock = clock

    def emit(self, record: logging.LogRecord) -> None:
        """Write a `library_logged` line, or hold it back; write held-back ones that are due."""
        level = "error" if record.levelno >= logging.ERROR else "warning"
        message = record.getMessage()
        fields = {"library": record.name, "message": message, "exc_info": record.exc_info}
        now = self._clock()
        self._limiter.say(level, f"{record.name} {_DIGITS.sub('', message)}", 1, fields, now)
        self._limiter.release(now)

    def close(self) -> None:
        """Write what is held back."""
        with self.lock or nullcontext():
            self._limiter.release(self._clock(), all_kinds=True)
        super().close()


_Fields = MutableMapping[str, Any]


def _mask_secrets(_logger: object, _method: str, fields: _Fields) -> Mapping[str, Any]:
    return {name: mask(value, name) for name, value in fields.items()}


def _shorten_texts(_logger: object, _method: str, fields: _Fields) -> _Fields:
    for name, value in fields.items():
        if name != "exception":
            fields[name] = _shorten(value)
    return fields


def _shorten(value: object) -> object:
    if isinstance(value, str) and len(value) > MAX_TEXT:
        return f"{value[:MAX_TEXT]}… ({len(value)} characters)"
    if isinstance(value, list):
        rest = [f"… ({len(value)} entries)"] if len(value) > MAX_ENTRIES else []
        return [_shorten(entry) for entry in value[:MAX_ENTRIES]] + rest
    return value


def _escape_controls(_logger: object, _method: str, fields: _Fields) -> _Fields:
    # A series key must not steer the operator's terminal.
    for name, value in fields.items():
        if isinstance(value, str) and not value.isprintable() and name != "exception":
            fields[name] = value.encode("unicode_escape").decode("ascii")
    return fields


def _head_first(_logger: object, _method: str, fields: _Fields) -> _Fields:
    head = {name: fields.pop(name) for name in ("timestamp", "level", "event") if name in fields}
    return {**head, **fields}


def _to_json(fields: object, **_options: object) -> str:
    return msgspec.json.encode(fields, enc_hook=_plain).decode()


def _plain(value: object) -> object:
    """Return what JSON can hold in place of a value it cannot (paths, numpy scalars)."""
    item = getattr(value, "item", None)
    if callable(item):
        plain = item()
        return None if isinstance(plain, float) and not math.isfinite(plain) else plain
    return str(value)
