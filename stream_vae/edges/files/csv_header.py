"""Which column of a CSV file is what."""

from dataclasses import dataclass
from pathlib import Path

from stream_vae.core.excerpts import printable
from stream_vae.errors import InputFileError

TIMESTAMP, SERIES, LABEL = "timestamp", "series", "label"


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvColumns:
    """Positions of a file's columns."""

    timestamp: int
    series: int | None
    label: int | None
    feature_names: tuple[str, ...]
    features: tuple[int, ...]
    """Position of each feature, in the order of `feature_names`."""
    ignored: tuple[str, ...]
    """Columns that are no feature of the model."""


def locate_columns(
    path: Path, header: list[str], features: tuple[str, ...] | None, *, others_allowed: bool
) -> CsvColumns:
    """Return what each column of a header is.

    Args:
        path: For messages.
        header: Names as they stand in line 1; spaces around them do not count.
        features: Names that must be there, in the order wanted; None takes all others.
        others_allowed: Whether columns beyond `features` are ignored rather than refused.

    Raises:
        InputFileError: With file, line 1 and the columns.
    """
    names = [name.strip() for name in header]
    _check_names(path, names)
    found = tuple(name for name in names if name not in (TIMESTAMP, SERIES, LABEL))
    if features is None:
        features = found
    missing = [name for name in features if name not in found]
    surplus = tuple(name for name in found if name not in features)
    if missing:
        raise InputFileError(
            f"{path}, line 1: no column {_listed(missing)}; found {_listed(found)}, expected the "
            f"features {_listed(features)}"
        )
    if surplus and not others_allowed:
        raise InputFileError(
            f"{path}, line 1: column {_listed(surplus)} is not in the first file; expected the "
            f"features {_listed(features)} in every file"
        )
    if not features:
        raise InputFileError(
            f"{path}, line 1: no feature; expected a column beside {_listed(names)}"
        )
    return CsvColumns(
        timestamp=names.index(TIMESTAMP),
        series=names.index(SERIES) if SERIES in names else None,
        label=names.index(LABEL) if LABEL in names else None,
        feature_names=features,
        features=tuple(names.index(name) for name in features),
        ignored=surplus,
    )


def _check_names(path: Path, names: list[str]) -> None:
    if TIMESTAMP not in names:
        raise InputFileError(
            f"{path}, line 1: no column timestamp; found {_listed(names)}, expected a header of "
            "comma-separated names"
        )
    if "" in names:
        raise InputFileError(
            f"{path}, line 1, column {names.index('') + 1}: no name; expected one for every column"
        )
    repeated = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if repeated:
        raise InputFileError(
            f"{path}, line 1: column {_listed(repeated)} stands there more than once; expected "
            "each name once"
        )


def _listed(names: tuple[str, ...] | list[str], limit: int = 10) -> str:
    shown = ", ".join(repr(printable(name, 60)) for name in names[:limit])
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown or "none"
