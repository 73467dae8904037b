"""Roles of the columns of a CSV file."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from stream_vae.core.excerpts import printable
from stream_vae.errors import InputFileError

if TYPE_CHECKING:  # `--help` needs names of columns alone
    from stream_vae.core.log_templates import LogSpec
    from stream_vae.core.model_spec import Feature, ModelSpec
    from stream_vae.edges.files.csv_tables import Table
    from stream_vae.edges.files.text_format import TextFormat

TIMESTAMP, SERIES, LABEL = "timestamp", "series", "label"

_LABEL_LIKE = re.compile(
    r"((is|has)_)?(label|labels|anomaly|anomalies|anomalous|outlier|outliers|change_?points?)"
    r"(_?labels?)?",
    re.IGNORECASE,
)
_TIME_NAMES = frozenset(
    {"timestamp", "@timestamp", "time", "_time", "datetime", "date_time", "date time", "date", "ts"}
)
"""Of the time where no column is named `timestamp`, without case."""
_NAME_NAMES = frozenset(
    {"name", "metric", "variable", "field", "_field", "sensor", "tag", "signal"}
)
_VALUE_NAMES = frozenset({"value", "_value"})
_INDEX_NAME = re.compile(r"|Unnamed: 0(\.[0-9]+)?")
"""Of a row number, as data frames write it."""
_OF_QUERIES = frozenset({"result", "table", "_start", "_stop"})
"""Columns of InfluxDB that are about the query."""
_LISTED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnChoice:
    """The operator's choice of columns."""

    timestamp: str | None = None
    """Column of the time, or several in braces (`{Date} {Time}`); None finds it."""
    series: str | None = None
    """Column of the series, or several in braces (`{host}/{device}`); None: the column `series`,
    else a file is one series."""
    features: tuple[str, ...] | None = None
    """Required features, in this order, others being ignored; None: all columns without another
    role."""
    name: str | None = None
    """Column that says which feature a row is of: long form."""
    value: str | None = None
    """Column of its value in the long form."""
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
    text: "TextFormat | None" = None
    """How the text of the files is read; None: as usual."""
    logs: "LogSpec | None" = None
    """What the features count, if they count the lines of logs."""


ALL_COLUMNS = ColumnChoice()
"""Every column without another role is a feature."""


def columns_of(spec: "ModelSpec") -> ColumnChoice:
    """Return the choice of a model's features, with its kinds and categories."""
    return ColumnChoice(
        features=tuple(feature.name for feature in spec.features),
        declared={feature.name: feature for feature in spec.features},
        is_events=spec.has_events,
        logs=spec.logs,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedColumns:
    """One or more columns that are one text together."""

    columns: tuple[int, ...]
    template: str | None = None
    """With the columns' names in braces; None: a single column as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvColumns:
    """Positions of a file's columns."""

    timestamp: JoinedColumns | None
    series: JoinedColumns | None
    label: int | None
    feature_names: tuple[str, ...]
    """Of the long form those that are required; () takes all."""
    features: tuple[int, ...]
    """Position of each feature, in the order of `feature_names`; () in the long form."""
    name: int | None
    """Of the feature's name in the long form."""
    value: int | None
    """Of its value."""
    ignored: tuple[str, ...]
    """Columns that are not features of the model, or are left out."""
    notes: tuple[str, ...]
    """What was taken for what without being told."""


def locate_columns(
    path: Path, table: "Table", choice: ColumnChoice, first: tuple[str, ...] = ()
) -> CsvColumns:
    """Return the role of each column of a table.

    Args:
        path: For messages.
        table: Its header; surrounding spaces are ignored.
        choice: The operator's choice.
        first: The first table's features, which the others must have exactly; empty for the first.

    Raises:
        InputFileError: With file, line of the header and the columns.
    """
    return _Header(path, table, choice).located(first)


class _Header:
    """The names of one table, from which roles are taken."""

    def __init__(self, path: Path, table: "Table", choice: ColumnChoice) -> None:
        self._place = f"{path}, line {table.line}"
        self._choice = choice
        self._table = table
        names = [name.removeprefix("\ufeff").strip() for name in table.header]
        self._notes: list[str] = []
        self._names = names
        self._unused = self._without_index(names)
        self._check_names()

    def located(self, first: tuple[str, ...]) -> CsvColumns:
        """Return the roles; `first` as in `locate_columns`."""
        choice = self._choice
        dropped = tuple(name for name in self._unused if name in choice.drop)
        of_query = _OF_QUERIES if self._table.is_annotated else frozenset()
        usable = [name for name in self._unused if name not in {*dropped, *of_query}]
        timestamp = self._timestamp(usable)
        name, value = self._long_form(usable)
        series = self._series(usable)
        special = {choice.label, *dropped, *self._of(timestamp), *self._of(series)}
        if name is not None:
            found: tuple[str, ...] = ()
            ignored = tuple(
                one
                for one in usable
                if one not in special | {self._names[name], self._names[value or 0]}
            )
            features = choice.features or ()
        else:
            found = tuple(one for one in usable if one not in special)
            features = self._features(found, first)
            ignored = tuple(one for one in found if one not in features)
        if choice.refuse_labels:
            self._refuse_labels(features)
        return CsvColumns(
            timestamp=timestamp,
            series=series,
            label=self._names.index(choice.label) if choice.label in usable else None,
            feature_names=features,
            features=() if name is not None else tuple(map(self._names.index, features)),
            name=name,
            value=value,
            ignored=(*ignored, *dropped),
            notes=tuple(self._notes),
        )

    def _error(self, text: str) -> InputFileError:
        return InputFileError(f"{self._place}: {text}")

    def _of(self, joined: JoinedColumns | None) -> set[str]:
        return set() if joined is None else {self._names[at] for at in joined.columns}

    def _without_index(self, names: list[str]) -> list[str]:
        """Return the names without that of a row number, and of nothing behind a last delimiter."""
        unused = list(names)
        if len(unused) > 1 and _INDEX_NAME.fullmatch(unused[0]):
            if not self._table.is_annotated:
                self._notes.append(f"column 1 ({unused[0] or 'no name'}) taken for a row number")
            unused = unused[1:]
        if len(unused) > 1 and not unused[-1]:
            self._notes.append(f"column {len(names)} (no name) left out")
            unused = unused[:-1]
        return unused

    def _check_names(self) -> None:
        if "" in self._unused:
            at = len(self._names) - len(self._unused) + self._unused.index("") + 1
            raise InputFileError(
                f"{self._place}, column {at}: no name; expected one for every column"
            )
        names = [name for name in self._unused if name not in self._choice.drop]
        repeated = [name for name in dict.fromkeys(names) if names.count(name) > 1]
        if repeated:
            raise self._error(
                f"column {_listed(repeated)} stands there more than once; expected each name once "
                "(--ignore leaves out all columns of a name)"
            )

    def _timestamp(self, usable: list[str]) -> JoinedColumns | None:
        told = self._choice.timestamp
        if told is not None:
            return self._joined(told, usable, "--timestamp-column")
        if TIMESTAMP in usable:
            return JoinedColumns(columns=(self._names.index(TIMESTAMP),))
        if self._choice.is_events:
            return None
        alike = [name for name in usable if name.lower() in _TIME_NAMES]
        if len(alike) == 1:
            self._notes.append(f"time from column {alike[0]!r} (--timestamp-column for another)")
            return JoinedColumns(columns=(self._names.index(alike[0]),))
        example = " ".join(f"{{{name}}}" for name in alike) or "NAME"
        raise self._error(
            f"no column timestamp; found {_listed(self._unused)}, expected the time in a column of "
            f"that name, or --timestamp-column {example!r} (events need none: model.window_length "
            "1); if these are not all columns: --delimiter"
        )

    def _series(self, usable: list[str]) -> JoinedColumns | None:
        told = self._choice.series
        if told is not None:
            return self._joined(told, usable, "--series-column")
        if SERIES in usable:
            return JoinedColumns(columns=(self._names.index(SERIES),))
        if not self._table.is_annotated:
            return None
        named = {self._choice.name or "_field", self._choice.value or "_value", "_time"}
        tags = [
            name
            for name in usable
            if name not in named | {self._choice.label} and name in self._table.groups
        ]
        tags = [name for name in tags if name != "_measurement"] or tags
        if not tags:
            return None
        self._notes.append(
            f"series from {_listed(tags)} (--series-column for another, or several in braces)"
        )
        columns = tuple(map(self._names.index, tags))
        template = "/".join(f"{{{name}}}" for name in tags) if len(tags) > 1 else None
        return JoinedColumns(columns=columns, template=template)

    def _joined(self, told: str, usable: list[str], option: str) -> JoinedColumns:
        if told in usable:
            return JoinedColumns(columns=(self._names.index(told),))
        parts = re.findall(r"\{([^{}]+)\}", told)
        absent = [name for name in parts or [told] if name not in usable]
        if absent:
            raise self._error(
                f"no column {_listed(absent)}; found {_listed(usable)}, expected the columns of "
                f"{option} {told!r} (if these are not all columns: --delimiter)"
            )
        return JoinedColumns(columns=tuple(map(self._names.index, parts)), template=told)

    def _long_form(self, usable: list[str]) -> tuple[int | None, int | None]:
        """Return the positions of the columns of name and value, None where a row is a reading."""
        name, value = self._choice.name, self._choice.value
        if name is None and value is None:
            if self._table.is_annotated and {"_field", "_value"} <= set(usable):
                return self._names.index("_field"), self._names.index("_value")
            return None, None
        if value is None:
            alike = [one for one in usable if one.lower() in _VALUE_NAMES]
            value = alike[0] if len(alike) == 1 else None
        for option, column in (("--name-column", name), ("--value-column", value)):
            if column not in usable:
                found = "nothing" if column is None else f"{option} {column}"
                raise self._error(
                    f"found {found} told of the columns {_listed(usable)}; expected --name-column "
                    "for the feature's name and --value-column for its value"
                )
        return self._names.index(str(name)), self._names.index(str(value))

    def _features(self, found: tuple[str, ...], first: tuple[str, ...]) -> tuple[str, ...]:
        chosen = self._choice.features
        features = chosen or first or found
        missing = [name for name in features if name not in found]
        if missing:
            raise self._error(
                f"no column {_listed(missing)}; found {_listed(found)}, expected the features "
                f"{_listed(features)}{_long_form_advice(found)}"
            )
        surplus = [name for name in found if name not in features]
        if surplus and chosen is None:
            raise self._error(
                f"column {_listed(surplus)} is not in the first file; expected the features "
                f"{_listed(features)} in every file (--ignore leaves a column out)"
            )
        if not features:
            raise self._error(f"no feature; expected a column beside {_listed(self._names)}")
        if chosen is None and len(found) == 2 and (advice := _long_form_advice(found)):
            raise self._error(f"found {_listed(found)} beside time and series{advice}")
        return features

    def _refuse_labels(self, features: tuple[str, ...]) -> None:
        labels = [name for name in features if _LABEL_LIKE.fullmatch(name)]
        if labels:
            raise self._error(
                f"column {_listed(labels)} is a label by its name, and would be trained on; "
                "expected --label COLUMN for the one of 0 and 1, --ignore COLUMN for others, or "
                "another name"
            )


def _long_form_advice(found: Sequence[str]) -> str:
    names = [name for name in found if name.lower() in _NAME_NAMES]
    values = [name for name in found if name.lower() in _VALUE_NAMES]
    if not names or not values:
        return ""
    return (
        f"; if a row is one value of the feature that it names: --name-column {names[0]} "
        f"--value-column {values[0]} (else choose with --features or --ignore)"
    )


def _listed(names: Sequence[str], limit: int = _LISTED) -> str:
    shown = ", ".join(repr(printable(name, 60)) for name in names[:limit])
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown or "none"
