"""Roles of the columns of a CSV file."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from stream_vae.core.excerpts import printable
from stream_vae.errors import InputFileError

if TYPE_CHECKING:  # `--help` needs names of columns alone
    from stream_vae.core.model_spec import Feature, ModelSpec

TIMESTAMP, SERIES, LABEL = "timestamp", "series", "label"

_LABEL_LIKE = re.compile(
    r"((is|has)_)?(label|labels|anomaly|anomalies|anomalous|outlier|outliers|change_?points?)"
    r"(_?labels?)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnChoice:
    """The operator's choice of columns."""

    features: tuple[str, ...] | None = None
    """Required features, in this order, others being ignored; None: all columns without another
    role."""
    label: str = LABEL
    drop: frozenset[str] = frozenset()
    """Columns to leave out."""
    refuse_labels: bool = False
    """Refuse a feature that is named like a label: a model must not be trained on labels."""
    declared: "Mapping[str, Feature]" = field(default_factory=dict)
    """Feature's name -> its kind, and its categories if a model has them. The kinds of others are
    found in the cells: text is categorical, all else numeric."""
    max_categories: int = 65_536
    """Most categories of a feature that are found in the cells."""
    is_events: bool = False
    """Rows are events without order in time: the column `timestamp` may be missing, and a row's
    time is then its number among all rows, in milliseconds since 1970."""


ALL_COLUMNS = ColumnChoice()
"""Every column without another role is a feature."""


def columns_of(spec: "ModelSpec") -> ColumnChoice:
    """Return the choice of a model's features, with its kinds and categories."""
    return ColumnChoice(
        features=tuple(feature.name for feature in spec.features),
        declared={feature.name: feature for feature in spec.features},
        is_events=spec.has_events,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvColumns:
    """Positions of a file's columns."""

    timestamp: int | None
    series: int | None
    label: int | None
    feature_names: tuple[str, ...]
    features: tuple[int, ...]
    """Position of each feature, in the order of `feature_names`."""
    ignored: tuple[str, ...]
    """Columns that are not features of the model, or are left out."""


def locate_columns(
    path: Path, header: list[str], choice: ColumnChoice, first: tuple[str, ...] = ()
) -> CsvColumns:
    """Return the role of each column of a header.

    Args:
        path: For messages.
        header: Names in line 1; surrounding spaces are ignored.
        choice: The operator's choice.
        first: The first file's features, which the others must have exactly; empty for the first.

    Raises:
        InputFileError: With file, line 1 and the columns.
    """
    names = [name.strip() for name in header]
    _check_names(path, names, is_events=choice.is_events)
    dropped = tuple(name for name in names if name in choice.drop)
    usable = [name for name in names if name not in dropped]
    special = {TIMESTAMP, SERIES, choice.label, *dropped}
    found = tuple(name for name in names if name not in special)
    features = choice.features or first or found
    missing = [name for name in features if name not in found]
    surplus = tuple(name for name in found if name not in features)
    if missing:
        raise InputFileError(
            f"{path}, line 1: no column {_listed(missing)}; found {_listed(found)}, expected the "
            f"features {_listed(features)}"
        )
    if surplus and choice.features is None:
        raise InputFileError(
            f"{path}, line 1: column {_listed(surplus)} is not in the first file; expected the "
            f"features {_listed(features)} in every file"
        )
    if choice.refuse_labels:
        _refuse_labels(path, features)
    if not features:
        raise InputFileError(
            f"{path}, line 1: no feature; expected a column beside {_listed(names)}"
        )
    return CsvColumns(
        timestamp=names.index(TIMESTAMP) if TIMESTAMP in usable else None,
        series=names.index(SERIES) if SERIES in usable else None,
        label=names.index(choice.label) if choice.label in usable else None,
        feature_names=features,
        features=tuple(names.index(name) for name in features),
        ignored=(*surplus, *dropped),
    )


def _refuse_labels(path: Path, features: tuple[str, ...]) -> None:
    labels = [name for name in features if _LABEL_LIKE.fullmatch(name)]
    if labels:
        raise InputFileError(
            f"{path}, line 1: column {_listed(labels)} is a label by its name, and would be "
            "trained on; expected --label COLUMN for the one of 0 and 1, --drop COLUMN for others, "
            "or another name"
        )


def _check_names(path: Path, names: list[str], *, is_events: bool) -> None:
    if TIMESTAMP not in names and not is_events:
        raise InputFileError(
            f"{path}, line 1: no column timestamp; found {_listed(names)}, expected the time in a "
            "column of that name: rename yours in the header (events need none: "
            "model.window_length 1)"
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
