"""Features of records by what their first ones show."""

import re
from collections import Counter
from collections.abc import Iterator, Set
from typing import Any

import msgspec

from stream_vae.core.excerpts import printable
from stream_vae.errors import InputFileError
from stream_vae.inputs.cell_values import CellReader
from stream_vae.inputs.reading_format import ReadingFormat, cell_format

_MAX_FEATURES = 1000


def find_features(
    place: str, sample: list[bytes], fmt: ReadingFormat, *, leave_out: Set[str]
) -> tuple[str, ...]:
    """Return the features: those with a field told, else fields that are mostly numbers or truths.

    A found one is named by its path.

    Args:
        place: For messages.
        sample: Values of the first records.
        fmt: Where they keep time and series.
        leave_out: Fields that are no features.

    Raises:
        InputFileError: If there is none, or the format does not name its features.
    """
    if fmt.feature_fields:
        return tuple(name for name in fmt.feature_fields if name not in leave_out)
    if fmt.format != "json" or fmt.value_field is not None or fmt.records_path:
        raise InputFileError(
            f"{place}: no features are told, and records of this form do not show them; expected "
            "--features A,B"
        )
    reader = CellReader(cell_format(fmt))
    seen: Counter[tuple[str, ...]] = Counter()
    fitting: Counter[tuple[str, ...]] = Counter()
    others = {fmt.timestamp_field, *leave_out}
    if fmt.series_field is not None:
        others |= {fmt.series_field, *re.findall(r"\{([^{}]+)\}", fmt.series_field)}
    for raw in sample:
        try:  # behind five bytes of a schema registry, where there are any
            document = msgspec.json.decode(raw[5:] if raw[:1] == b"\0" else raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        for path, value in _leaves(document, ()):
            seen[path] += value is not None
            fitting[path] += _is_number(value, reader)
    found = [".".join(path) for path, count in fitting.items() if 2 * count > seen[path]]
    names = tuple(name for name in found if name not in others)
    if not names or len(names) > _MAX_FEATURES:
        shown = ", ".join(printable(".".join(path), 60) for path in [*seen][:10])
        raise InputFileError(
            f"{place}: found {len(names):,} fields of numbers among {shown or 'no fields'}; "
            "expected the features: --features A,B"
        )
    return names


def field_at(raw: bytes, fmt: ReadingFormat, name: str) -> bool:
    """Return whether a record has a top-level field."""
    try:
        document: Any = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return isinstance(document, dict) and name in document and not fmt.records_path


def _leaves(node: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    if isinstance(node, dict):
        for name, value in node.items():
            if name and not ("." in name and isinstance(value, dict)):
                yield from _leaves(value, (*path, name))
    elif path:
        yield path, node


def _is_number(value: object, reader: CellReader) -> bool:
    if isinstance(value, str):
        return not reader.is_missing(value) and reader.number(value) is not None
    return isinstance(value, int | float)
