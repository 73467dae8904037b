"""Log lines: JSON for machines, columns for eyes; secrets masked, times in UTC."""

import logging
import math
from collections.abc import Mapping, MutableMapping
from typing import Any, Protocol, TextIO

import msgspec
import structlog

from stream_vae.core.masking import mask
from stream_vae.edges.telemetry.config import LoggingConfig

# Texts come from the stream (series keys, broken records) and may be as long as a record.
MAX_TEXT = 500
MAX_ENTRIES = 100
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
    """Sends what libraries log through the standard library to our logger."""

    def __init__(self, logger: Logger) -> None:
        super().__init__(logging.WARNING)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Write one `library_logged` line."""
        write = self._logger.error if record.levelno >= logging.ERROR else self._logger.warning
        write(
            "library_logged",
            library=record.name,
            message=record.getMessage(),
            exc_info=record.exc_info,
        )


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
