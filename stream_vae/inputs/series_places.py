"""Why nothing names a reading's series, and which fields of its record could."""

from collections.abc import Iterable, Sequence
from typing import Any

from stream_vae.core.excerpts import printable
from stream_vae.errors import DecodeError
from stream_vae.inputs.decode_slow_path import parse_document
from stream_vae.inputs.record_layout import WHOLE_RECORD, leaf_paths, split_path

_MOST_SHOWN = 10
_MOST_PATHS = 200


def no_series(series_field: str, there: Iterable[str]) -> DecodeError:
    """Return the error of a reading in which nothing stands where its series is expected.

    Args:
        series_field: The setting.
        there: Places that could name the series, as the setting calls them.
    """
    shown = list(there)
    names = ", ".join(printable(name, 60) for name in shown[:_MOST_SHOWN])
    more = ", ..." if len(shown) > _MOST_SHOWN else ""
    detail = (
        f"input.series_field {printable(series_field, 100)} finds nothing; expected 1-1024 "
        f"characters there. There are: {names or 'no fields that could name a series'}{more}"
    )
    if not shown:
        detail += "; input.series names one for all"
    return DecodeError("key_missing", detail)


def places_in_json(raw: bytes | None, records_path: str) -> Sequence[str]:
    """Return the paths of plain values in a record and in its first element, texts first.

    Args:
        raw: The record.
        records_path: The setting.
    """
    try:
        document = parse_document(raw or b"null")
    except (DecodeError, RecursionError):
        return ()
    element, outer = document, None
    if records_path:
        path = () if records_path == WHOLE_RECORD else split_path(records_path)
        found = _at(document, path)
        found = found[0] if isinstance(found, list) and found else found
        if isinstance(found, dict):
            element, outer = found, document
    paths = _plain_paths(element, "")
    if isinstance(outer, dict):
        paths += _plain_paths(outer, "$.")
    return [name for _, name in sorted(paths, key=lambda pair: not pair[0])]


def _plain_paths(document: Any, prefix: str) -> list[tuple[bool, str]]:
    """Return (whether text stands there, path) of texts and whole numbers."""
    found = []
    for name in leaf_paths(document, _MOST_PATHS):
        value = _at(document, (name,)) or _at(document, tuple(name.split(".")))
        if isinstance(value, str | int) and not isinstance(value, bool):
            found.append((isinstance(value, str), f"{prefix}{name}"))
    return found


def _at(document: Any, path: Sequence[str]) -> Any:
    for name in path:
        document = document.get(name) if isinstance(document, dict) else None
    return document
