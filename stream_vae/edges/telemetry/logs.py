"""Log lines: JSON for machines, columns for people; secrets masked, times in UTC."""

import logging
import math
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Protocol, TextIO

import msgspec
import structlog

from stream_vae.core.masking import mask
from stream_vae.edges.telemetry.config import LoggingConfig
from stream_vae.events import Event, LibraryLogged

# Texts from the stream (series keys, invalid records) may be as long as a record.
MAX_TEXT = 500
# Our own texts end with what to do; they quote excerpts of data only, and a list of what is wrong
# is as long as it must be.
_OWN_TEXTS = frozenset({"detail", "command"})
MAX_OWN_TEXT = 20_000
MAX_ENTRIES = 100
_DIGITS = 6
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class Logger(Protocol):
    """The part of structlog's logger interface that the recorder uses."""

    def debug(self, event: str, **fields: Any) -> object:
        """Write a line for tracing."""

    def info(self, event: str, **fields: Any) -> object:
        """Write a line of the life cycle."""

    def warning(self, event: str, **fields: Any) -> object:
        """Write a line about a problem that the daemon handles itself."""

    def error(self, event: str, **fields: Any) -> object:
        """Write a line about a problem that needs an operator."""


def build_logger(config: LoggingConfig, stream: TextIO) -> Logger:
    """Return a logger that writes to `stream`; no global state is changed."""
    processors: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _mask_secrets,
        _round_numbers,
        _shorten_texts,
    ]
    if is_for_machines(config, stream):
        processors += [_head_first, structlog.processors.JSONRenderer(serializer=_to_json)]
    else:
        processors += [
            _escape_controls,
            _Console(structlog.dev.ConsoleRenderer(colors=stream.isatty(), sort_keys=False)),
        ]
    logger: Logger = structlog.wrap_logger(
        structlog.PrintLogger(stream),
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[config.level]),
        context_class=dict,
        cache_logger_on_first_use=True,
    )
    return logger


def is_for_machines(config: LoggingConfig, stream: TextIO) -> bool:
    """Return whether lines are JSON."""
    return config.format == "json" or (config.format == "auto" and not stream.isatty())


class LibraryHandler(logging.Handler):
    """Records libraries' messages to the standard library's log, from warnings up.

    Args:
        record: Receives the events.
    """

    def __init__(self, record: Callable[[Event], None]) -> None:
        super().__init__(logging.WARNING)
        self._record = record

    def emit(self, record: logging.LogRecord) -> None:
        """Record `LibraryLogged`."""
        self._record(
            LibraryLogged(
                library=record.name,
                level="error" if record.levelno >= logging.ERROR else "warning",
                message=record.getMessage(),
                exc_info=record.exc_info[1] if record.exc_info else None,
            )
        )


_Fields = MutableMapping[str, Any]


def _mask_secrets(_logger: object, _method: str, fields: _Fields) -> Mapping[str, Any]:
    return {name: mask(value, name) for name, value in fields.items()}


def _round_numbers(_logger: object, _method: str, fields: _Fields) -> Mapping[str, Any]:
    return {name: _round(value) for name, value in fields.items()}


def _round(value: object) -> object:
    """Return numbers rounded to 6 significant digits, but never coarser than thousandths.

    >>> _round(0.123456789), _round(1.7e-06), _round(1700000000.123456), _round(3)
    (0.123457, 1.7e-06, 1700000000.123, 3)
    """
    if isinstance(value, (tuple, list)):
        return [_round(entry) for entry in value]
    number = _plain_number(value)
    if isinstance(number, float) and math.isfinite(number) and number:
        return round(number, max(_DIGITS - 1 - math.floor(math.log10(abs(number))), 3))
    return number


def _plain_number(value: object) -> object:
    """Return a numpy scalar as Python's, anything else as it is."""
    item = getattr(value, "item", None)
    return item() if callable(item) else value


def _shorten_texts(_logger: object, _method: str, fields: _Fields) -> _Fields:
    for name, value in fields.items():
        if name != "exception":
            fields[name] = _shorten(value, MAX_OWN_TEXT if name in _OWN_TEXTS else MAX_TEXT)
    return fields


def _shorten(value: object, limit: int) -> object:
    if isinstance(value, str) and len(value) > limit:
        return f"{value[:limit]}… ({len(value)} characters)"
    if isinstance(value, list):
        rest = [f"… ({len(value)} entries)"] if len(value) > MAX_ENTRIES else []
        return [_shorten(entry, limit) for entry in value[:MAX_ENTRIES]] + rest
    return value


def _escape_controls(_logger: object, _method: str, fields: _Fields) -> _Fields:
    # A series key must not control the operator's terminal.
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
    """Return a JSON value for one that JSON does not support (paths, numpy scalars)."""
    plain = _plain_number(value)
    if isinstance(plain, float) and not math.isfinite(plain):
        return None
    return str(value) if plain is value else plain


class _Console:
    """Renders a line for people; nested tables follow it, one entry per line."""

    def __init__(self, renderer: structlog.dev.ConsoleRenderer) -> None:
        self._renderer = renderer

    def __call__(self, logger: object, method: str, fields: _Fields) -> str:
        tables = [name for name, value in fields.items() if isinstance(value, Mapping)]
        # repr() escapes control characters.
        entries = [
            f"    {name} {key} = {value!r}"
            for name in tables
            for key, value in fields.pop(name).items()
        ]
        return "\n".join([self._renderer(logger, method, fields), *entries])
