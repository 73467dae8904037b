"""Values with names and labels: which label is of the series, and which of the feature."""

import re
from collections.abc import Hashable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from stream_vae.core.excerpts import printable
from stream_vae.inputs.otlp.names import joined

SERIES_NAMES = (
    *("host", "hostname", "host.name", "instance", "service.instance.id", "device", "device_id"),
    *("deviceid", "machine", "machine_id", "unit", "asset", "asset_id", "equipment", "series"),
    *("sensor_id", "station", "site", "node", "pod", "container", "plant", "line", "vehicle"),
    *("service.name", "source", "sensor", "id", "uuid", "serial", "name", "service", "job"),
    *("pod_name", "container_name", "service_name", "app"),
)
"""What fields are called that name a series, the likeliest first."""
_LABEL = re.compile(r"\{([^{}]+)\}")
_OF_FEATURES = frozenset(
    (
        *("state", "mode", "type", "direction", "quantile", "le", "status", "code", "method"),
        *("kind", "cpu", "core", "level"),
    )
)
"""What fields are called that tell values of one thing apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One value of a sample."""

    row: int
    """Position of its record in the sample."""
    name: str
    field: str = ""
    """The name in an object of values; or of a histogram's part (`.count`)."""
    labels: dict[str, Any]
    """What stands beside it, by the place that a template names."""
    time: Hashable = None
    is_counter: bool = False
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PointNaming:
    """How points become features of series."""

    series_field: str | None
    """None: the record's key, or `is_one_series`."""
    is_one_series: bool
    """Neither a label nor the key names one."""
    feature_name: str
    features: tuple[str, ...]
    counters: frozenset[str]
    units: Mapping[str, str]
    """Of features whose points tell one."""
    notes: tuple[str, ...]


def series_rank(path: str) -> int:
    """Return how unlikely a field names the series, by its name."""
    tail = path.lower()
    for prefix in ("tags.", "labels.", "attributes.", "resource.", "fields."):
        tail = tail.removeprefix(prefix)
    if tail.startswith("telemetry."):  # of the library that measures, not of what is measured
        return len(SERIES_NAMES)
    before, _, last = tail.rpartition(".")
    owner = before.rpartition(".")[2] if last in ("name", "id", "uid") else ""
    for candidate in (tail, owner, last):
        if candidate in SERIES_NAMES:
            return SERIES_NAMES.index(candidate)
    return len(SERIES_NAMES)


def name_points(  # noqa: PLR0913 -- what is known of the points
    points: Sequence[Point],
    base: str,
    *,
    keys_name_series: bool,
    may_lack_labels: bool,
    keys: Sequence[Hashable],
    given: Mapping[str, Any],
) -> PointNaming:
    """Return how points are named so that no two of one series, time and name are confused.

    Args:
        points: Of the sample; at least one.
        base: The usual template of a feature's name.
        keys_name_series: Records' keys could name the series.
        may_lack_labels: A label that a point lacks is empty in a name, rather than no feature's.
        keys: Of the records, by row.
        given: Settings of the input that the operator has decided.
    """
    common = set.intersection(*(set(point.labels) for point in points))
    is_series_given = bool(given.keys() & {"series", "series_field"})
    if is_series_given:
        series = labels_of(given.get("series_field") or "")
    else:
        series = _series_labels(common, keys_name_series=keys_name_series)
    differing = _differing(points, series, keys)
    needed = set().union(*differing.values())
    notes: list[str] = []
    of_series = [x for x in sorted(needed & common) if _tail(x) not in _OF_FEATURES]
    if of_series and series and not is_series_given:
        series += of_series
        needed -= set(of_series)
    template = base + "".join(f".{{{label}}}" for label in sorted(needed))
    if "feature_name" in given:
        template = given["feature_name"]
        needed = needed.difference(labels_of(template))
        if needed:
            notes.append(
                f"values of {', '.join(printable(name, 60) for name in sorted(differing)[:5])} "
                f"differ in {', '.join(printable(label, 60) for label in sorted(needed))} alone: "
                "the configuration's feature_name does not tell them apart"
            )
    elif needed and not (needed <= common or may_lack_labels):
        # A template names all its labels or no feature: choose the one that reads more.
        with_labels = sum(needed <= set(point.labels) for point in points)
        without = sum(point.name not in differing for point in points)
        if without >= with_labels:
            left_out = [name for name in differing if differing[name] & needed]
            notes.append(
                f"values of {', '.join(printable(name, 60) for name in left_out[:5])} differ in "
                f"{', '.join(printable(label, 60) for label in sorted(needed))} alone, so they are "
                f'left out; feature_name: "{printable(template, 120)}" reads these instead'
            )
            points = [point for point in points if point.name not in left_out]
            template = base
        else:
            lost = {point.name for point in points if not needed <= set(point.labels)}
            notes.append(
                f"values of {', '.join(printable(name, 60) for name in sorted(lost)[:5])} lack "
                f"{', '.join(printable(label, 60) for label in sorted(needed))} and are not read"
            )
            points = [point for point in points if needed <= set(point.labels)]
    named = [(_filled(template, point), point) for point in points]
    field = None
    if series:
        field = series[0] if len(series) == 1 else "/".join(f"{{{label}}}" for label in series)
    return PointNaming(
        series_field=field,
        is_one_series=field is None and not keys_name_series,
        feature_name=template,
        features=tuple(dict.fromkeys(feature for feature, _ in named)),
        counters=frozenset(feature for feature, point in named if point.is_counter),
        units={feature: point.unit for feature, point in named if point.unit},
        notes=tuple(notes),
    )


def labels_of(template: str) -> list[str]:
    """Return the fields in the braces of a text, or the field that it is."""
    return _LABEL.findall(template) if "{" in template else [template] * bool(template)


def _series_labels(common: Set[str], *, keys_name_series: bool) -> list[str]:
    """Return the label that is likeliest to name the series, if one is."""
    ranked = sorted((series_rank(label), label) for label in common)
    series = [label for rank, label in ranked[:1] if rank < len(SERIES_NAMES)]
    if not series and not keys_name_series:
        series = [label for label in sorted(common) if _tail(label) not in _OF_FEATURES][:1]
    return series


def _differing(
    points: Sequence[Point], series: Sequence[str], keys: Sequence[Hashable]
) -> dict[str, set[str]]:
    """Return name -> labels in which values of one series and time differ."""
    first: dict[Hashable, dict[str, Any]] = {}
    found: dict[str, set[str]] = {}
    for point in points:
        who = tuple(point.labels.get(label) for label in series) or keys[point.row]
        # Without a time of its own a record is a time.
        when = point.time if point.time is not None else ("row", point.row)
        labels = first.setdefault((who, when, point.name, point.field), point.labels)
        if labels is not point.labels and labels != point.labels:
            names = {*labels, *point.labels}
            differ = {name for name in names if labels.get(name) != point.labels.get(name)}
            found.setdefault(point.name, set()).update(differ - set(series))
    return found


def _tail(label: str) -> str:
    return label.rpartition(".")[2].lower()


def _filled(template: str, point: Point) -> str:
    values = {"name": point.name, "field": point.field, **point.labels}

    def plain(label: str) -> str:
        value = values.get(label, "")
        return str(value).lower() if isinstance(value, bool) else str(value)

    parts = enumerate(_LABEL.split(template))
    text = joined((at % 2 == 0, part if at % 2 == 0 else plain(part)) for at, part in parts)
    return text if "{field}" in template else text + point.field
