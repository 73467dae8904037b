"""Records of JSON: whose shape they are, and what in them is time, series and feature."""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.excerpts import excerpt, printable
from stream_vae.inputs.cell_values import CellFormat, CellReader
from stream_vae.inputs.presets import PRESETS, Preset
from stream_vae.inspect.labelled_points import (
    SERIES_NAMES,
    Point,
    labels_of,
    name_points,
    series_rank,
)
from stream_vae.inspect.leaves import (
    Leaf,
    at_path,
    cell_settings,
    is_missing_or_number,
    is_number,
    iterate,
    leaves_of,
)
from stream_vae.inspect.proposal import ONE_SERIES, WHY_ONE_SERIES, Proposal
from stream_vae.inspect.time_fields import TimeField, find_time, is_like_time

_NAME_FIELDS = (
    *("name", "metric", "metric_name", "__name__", "measurement", "parameter", "signal"),
    *("variable", "tag", "tagname", "channel", "point", "item", "sensor", "key", "field", "id"),
)
_VALUE_FIELDS = ("value", "val", "v", "reading", "measured_value", "numeric_value")
_ABOUT_THE_BEAT = ("event.", "metricset.", "host.", "agent.", "ecs.", "service.", "@metadata.")
_WORDS: dict[Preset, str] = {
    "telegraf": "Telegraf's JSON",
    "metricbeat": "events of Beats",
    "prometheus_adapter": "prometheus-kafka-adapter's JSON",
    "connect": "Kafka Connect's JSON with a schema",
    "cloudevents": "CloudEvents, structured",
    "fluent_bit": "Fluent Bit's JSON",
    "vector": "Vector's metrics",
    "vector_logs": "Vector's log events",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The keys of a sample's records."""

    found: Sequence[Hashable]
    """Of each record."""
    may_name_series: bool
    n_distinct: int


@dataclass(slots=True)
class _Shape:
    """What was decided so far."""

    settings: dict[str, Any]
    why: dict[str, str]
    preset: Preset | None
    notes: list[str]
    given: Mapping[str, Any]
    """Settings that the operator has decided."""

    def default(self, name: str) -> str | None:
        """Return a setting's value as it is given, or under the preset."""
        if name in self.given:
            return cast("str | None", self.given[name])
        return PRESETS[self.preset].get(name) if self.preset else None

    def decide(self, name: str, value: Any, why: str = "") -> None:
        """Set a setting, unless the operator or the preset does."""
        if name in self.given:
            return
        if self.default(name) != value or (value is None and self.default(name) is not None):
            self.settings[name] = value
            if why:
                self.why[name] = why


def propose_json(
    documents: Sequence[tuple[int, Any]],
    keys: Keys,
    stamps: NDArray[np.int64],
    given: Mapping[str, Any],
) -> Proposal:
    """Return the settings that read JSON records.

    Args:
        documents: Row and content of each record.
        keys: Of all records.
        stamps: (M,) Kafka's times of all records.
        given: Settings that the operator has decided.
    """
    preset = given["preset"] if "preset" in given else _preset(documents)
    shape = _Shape(settings={}, why={}, preset=preset, notes=[], given=given)
    if preset is not None:
        shape.settings["preset"] = preset
    path = shape.default("records_path")
    if path is None:
        path = "" if preset else _array_path(documents)
    if path and not preset:
        shape.decide("records_path", path, "each element of the array is a reading")
    elements = _elements(documents, path)
    inner = leaves_of(elements)
    outer = leaves_of(_without(documents, path), "$.") if path and path != "$" else {}
    preferred = shape.default("timestamp_field") or "timestamp"
    could_be = [*inner.values(), *outer.values()]
    if "timestamp_field" in given:
        could_be = [leaf for leaf in could_be if leaf.name == preferred]
    time = find_time(could_be, len(elements), stamps, preferred)
    _settle_time(shape, time, stamps)
    sample = _Sample(elements=elements, inner=inner, outer=outer, time=time, keys=keys)
    place = _value_place(shape, inner, time)
    if place is not None:
        return _propose_points(shape, sample, place)
    return _propose_wide(shape, sample)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sample:
    """What holds readings, field by field."""

    elements: Sequence[tuple[int, Any]]
    """Row and content."""
    inner: dict[str, Leaf]
    """Fields of the elements."""
    outer: dict[str, Leaf]
    """Fields of the records beside their array."""
    time: TimeField | None
    keys: Keys


def _settle_time(shape: _Shape, time: TimeField | None, stamps: NDArray[np.int64]) -> None:
    if time is None:
        why = "no field is a time: Kafka's own of each record"
        if not (stamps > 0).any():
            shape.notes.append(
                "no field is a time, and the records have none of Kafka's: nothing can be read"
            )
        shape.decide("timestamp_field", "$record", why)
        return
    usual = shape.default("timestamp_field") or "timestamp"
    if time.name != usual:
        shape.decide("timestamp_field", time.name, time.told)
    for name, value in time.settings.items():
        shape.decide(name, value, time.why.get(name, ""))


def _preset(documents: Sequence[tuple[int, Any]]) -> Preset | None:
    found = Counter(_signature(document) for _, document in documents)
    preset, count = found.most_common(1)[0] if found else (None, 0)
    return preset if 2 * count > len(documents) else None


def _signature(document: Any) -> Preset | None:  # noqa: PLR0911 -- one for each producer
    """Return the producer whose shape a record has."""
    if not isinstance(document, dict):
        return None
    metrics = document.get("metrics")
    metric = metrics[0] if isinstance(metrics, list) and metrics else document
    if _is_of_telegraf(metric):
        return "telegraf"
    if document.keys() == {"schema", "payload"}:
        return "connect"
    if "specversion" in document and isinstance(document.get("data"), dict | list):
        return "cloudevents"
    if document.keys() >= {"name", "value", "labels"} and isinstance(document["labels"], dict):
        return "prometheus_adapter" if "__name__" in document["labels"] else None
    if "kind" in document and document.keys() & {"gauge", "counter"} and "name" in document:
        return "vector"
    if "@timestamp" in document:
        return "metricbeat" if document.keys() & {"metricset", "@metadata"} else "fluent_bit"
    if document.keys() >= {"timestamp", "host", "source_type"}:
        return "vector_logs"
    return None


def _words_of(preset: Preset | None, otherwise: str) -> str:
    """Return what records of a preset are; those of logs need no words of their own."""
    return otherwise if preset is None else _WORDS.get(preset, preset)


def _is_of_telegraf(metric: Any) -> bool:
    return (
        isinstance(metric, dict)
        and isinstance(metric.get("fields"), dict)
        and isinstance(metric.get("tags"), dict)
        and isinstance(metric.get("name"), str)
    )


def _array_path(documents: Sequence[tuple[int, Any]]) -> str:
    """Return the path to an array of objects that most records have, `$`, or ""."""
    found: Counter[str] = Counter()
    for _, document in documents:
        if isinstance(document, list):
            found["$"] += 1
        for path, value in iterate(document):
            if isinstance(value, list) and value and all(isinstance(x, dict) for x in value):
                found[path] += 1
    path, count = found.most_common(1)[0] if found else ("", 0)
    return path if 2 * count > len(documents) else ""


def _elements(documents: Sequence[tuple[int, Any]], path: str) -> list[tuple[int, Any]]:
    """Return row and content of what holds readings."""
    if not path:
        return list(documents)
    found: list[tuple[int, Any]] = []
    for row, document in documents:
        inner = document if path == "$" else at_path(document, path)
        if isinstance(inner, list):
            found += [(row, element) for element in inner]
        else:
            found.append((row, inner if isinstance(inner, dict) else document))
    return found


def _without(documents: Sequence[tuple[int, Any]], path: str) -> list[tuple[int, Any]]:
    """Return the records without what is at a path of them."""
    top = path.partition(".")[0]
    return [
        (row, {name: value for name, value in document.items() if name != top})
        for row, document in documents
        if isinstance(document, dict)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _ValuePlace:
    """Where elements of one named value each, or of an object of them, hold these."""

    value: str
    name: str | None
    base: str
    is_object: bool


def _value_place(
    shape: _Shape, inner: dict[str, Leaf], time: TimeField | None
) -> _ValuePlace | None:
    """Return where named values are; None if each feature has a field of its own."""
    value = shape.default("value_field")
    if value is not None:
        base = shape.default("feature_name") or "{name}"
        name_field = shape.default("name_field")
        return _ValuePlace(value=value, name=name_field, base=base, is_object="{field}" in base)
    if shape.preset not in (None, "connect", "cloudevents", "fluent_bit"):
        return None
    used = {time.name} if time else set()
    by_name = {leaf.name.lower(): leaf for leaf in inner.values() if leaf.name not in used}
    name = next((by_name[n] for n in _NAME_FIELDS if n in by_name and _is_text(by_name[n])), None)
    found = next((by_name[n] for n in _VALUE_FIELDS if n in by_name), None)
    if name is None or found is None or not _is_value(found):
        return None
    shape.decide("name_field", name.name, "each record holds one value, with its name")
    shape.decide("value_field", found.name)
    return _ValuePlace(value=found.name, name=name.name, base="{name}", is_object=False)


def _is_text(leaf: Leaf) -> bool:
    return 2 * leaf.kinds["text"] > leaf.n


def _is_value(leaf: Leaf) -> bool:
    test = is_missing_or_number(CellReader(CellFormat(**cell_settings([leaf]))))
    return leaf.share(test) > 0.5


def _propose_points(shape: _Shape, sample: _Sample, place: _ValuePlace) -> Proposal:
    value_paths = place.value.split("|")
    told = [leaf for leaf in sample.inner.values() if _is_under(leaf.name, value_paths)]
    test = is_missing_or_number(CellReader(_settle_cells(shape, told)))
    points, other = _points(sample, place, test)
    form = _words_of(shape.preset, "JSON, one named value a record")
    if not points:
        return _proposal(shape, form, (), other)
    naming = name_points(
        points,
        place.base,
        keys_name_series=sample.keys.may_name_series and not _keys_name_values(points, sample.keys),
        may_lack_labels=False,
        keys=sample.keys.found,
        given=shape.given,
    )
    shape.notes += naming.notes
    if naming.is_one_series:
        shape.decide("series", ONE_SERIES, WHY_ONE_SERIES)
    else:
        why = "" if naming.series_field else "the record's key names the series"
        shape.decide("series_field", naming.series_field, why)
    if naming.feature_name != "{name}" or shape.default("feature_name"):
        shape.decide("feature_name", naming.feature_name)
    return _proposal(shape, form, naming.features, other, naming.counters)


def _points(
    sample: _Sample, place: _ValuePlace, test: Callable[[Any], bool]
) -> tuple[list[Point], dict[str, str]]:
    """Return the values of the elements, and what is none."""
    value_paths = place.value.split("|")
    taken = {place.name, sample.time.name if sample.time else None, "labels.__name__"}
    points: list[Point] = []
    other: dict[str, str] = {}
    for row, element in sample.elements:
        if not isinstance(element, dict):
            continue
        name = str(at_path(element, place.name) if place.name else "")
        labels = {
            path: value
            for path, value in iterate(element)
            if isinstance(value, str | int)
            and path not in taken
            and not _is_under(path, value_paths)
        }
        when = at_path(element, sample.time.name) if sample.time else None
        for field, cell in _cells_at(element, value_paths, is_object=place.is_object):
            if not test(cell):
                other.setdefault(f"{name}.{field}" if field else name, excerpt(cell))
                continue
            points.append(
                Point(
                    row=row,
                    name=name,
                    field=field,
                    labels=labels,
                    time=when if isinstance(when, str | int | float) else None,
                    is_counter="counter" in element or element.get("type") == "counter",
                )
            )
    return points, other


def _cells_at(
    element: dict[str, Any], paths: Sequence[str], *, is_object: bool
) -> list[tuple[str, Any]]:
    """Return name and value of the values of an element."""
    value = next((x for path in paths if (x := at_path(element, path)) is not None), None)
    return [*value.items()] if is_object and isinstance(value, dict) else [("", value)]


def _is_under(path: str, places: Sequence[str]) -> bool:
    return any(path == place or path.startswith(f"{place}.") for place in places)


def _keys_name_values(points: Sequence[Point], keys: Keys) -> bool:
    """Return whether a record's key says which value it holds rather than of what series."""
    pairs = {(keys.found[point.row], point.name) for point in points}
    names = {name for _, name in pairs}
    return len(names) > 1 and len(pairs) == len({key for key, _ in pairs}) and keys.n_distinct > 1


def _propose_wide(shape: _Shape, sample: _Sample) -> Proposal:
    inner, outer, time = sample.inner, sample.outer, sample.time
    form = _words_of(shape.preset, "JSON, a field a feature")
    used = {time.name} if time else {shape.given.get("timestamp_field")}
    usable = {
        leaf.name: leaf
        for leaf in inner.values()
        if leaf.name not in used
        and not (shape.preset == "metricbeat" and leaf.name.startswith(_ABOUT_THE_BEAT))
    }
    vector = _vector(shape, usable)
    series = _series(shape, sample)
    candidates = [leaf for leaf in usable.values() if leaf.name not in series]
    reader = CellReader(_settle_cells(shape, candidates))
    test, reads = is_number(reader), is_missing_or_number(reader)
    features = [
        leaf
        for leaf in candidates
        if leaf.share(test) > 0.5 * max(leaf.share(lambda x: x is not None), 0.1)
        or (leaf.share(reads) == 1 and leaf.share(test) > 0)
    ]
    features = [leaf for leaf in features if not _is_second_time(leaf)]
    names = {leaf.name for leaf in features}
    other = {
        leaf.name: f"{leaf.kinds.most_common(1)[0][0]}, {excerpt(leaf.values[0])}"
        for leaf in {**inner, **outer}.values()
        if leaf.values and leaf.name not in names
    }
    if vector is not None:
        length = max(len(value) for value in vector.values if isinstance(value, list))
        form = "JSON, an array of values"
        return _proposal(shape, form, tuple(f"v{at + 1}" for at in range(length)), other)
    return _proposal(shape, form, tuple(leaf.name for leaf in features), other)


def _vector(shape: _Shape, usable: dict[str, Leaf]) -> Leaf | None:
    """Return the field of an array of numbers, where it is all there is."""
    test = is_number(CellReader(CellFormat()))
    arrays = [
        leaf
        for leaf in usable.values()
        if leaf.kinds["array"]
        and leaf.share(lambda value: isinstance(value, list) and all(map(test, value))) > 0.5
    ]
    if "values_field" in shape.given:
        arrays = [leaf for leaf in arrays if leaf.name == shape.given["values_field"]]
    others = any(leaf.share(test) > 0.5 for leaf in usable.values() if not leaf.kinds["array"])
    if len(arrays) != 1 or (others and arrays[0].name != "values"):
        return None
    shape.settings["format"] = "vector"
    if arrays[0].name != "values":
        shape.settings["values_field"] = arrays[0].name
    shape.notes.append("the array does not name its entries: the names of the features are made up")
    return arrays[0]


def _is_second_time(leaf: Leaf) -> bool:
    """Return whether a number is another time of its record."""
    return (
        is_like_time(leaf.last_name)
        and leaf.share(lambda value: isinstance(value, int | float) and value > 9e8) > 0.9
    )


def _series(shape: _Shape, sample: _Sample) -> set[str]:
    """Settle what names the series; return the fields that do."""
    if shape.given.keys() & {"series", "series_field"}:
        return set(labels_of(shape.given.get("series_field") or ""))
    usual = shape.default("series_field")
    keys, time = sample.keys, sample.time
    leaves = {**sample.inner, **sample.outer}
    whole = [
        leaf
        for leaf in leaves.values()
        if leaf.n >= 0.9 * len(sample.elements)
        and not (time and leaf.name == time.name)
        and leaf.share(lambda value: isinstance(value, str | int) and not isinstance(value, bool))
        > 0.9
    ]
    outer = [leaf for leaf in leaves.values() if leaf.name.startswith("$.") and leaf.n]
    whole += [leaf for leaf in outer if leaf not in whole and _is_text(leaf)]
    if usual is not None and any(leaf.name == usual for leaf in whole):
        return {usual}
    named = [leaf for leaf in whole if series_rank(leaf.name) < len(SERIES_NAMES)]
    named = [leaf for leaf in named if leaf.kinds["text"] or "id" in leaf.last_name.lower()]
    # What is another for each record names no series.
    named = [leaf for leaf in named if leaf.n_distinct <= max(len(leaf.values) / 2, 1)]
    best = min(named, key=lambda leaf: (series_rank(leaf.name), leaf.name), default=None)
    is_key_better = keys.n_distinct > 1 or best is None or best.n_distinct < 2
    if keys.may_name_series and is_key_better:
        shape.decide("series_field", None, "the record's key names the series")
        return set() if best is None else {best.name} if best.kinds["number"] else set()
    if best is None:
        texts = [leaf for leaf in whole if _is_text(leaf) and leaf.n_distinct <= leaf.n / 2]
        best = min(texts, key=lambda leaf: leaf.n_distinct, default=None)
        best = best or next((leaf for leaf in whole if _is_text(leaf)), None)
    if best is None:
        shape.decide("series", ONE_SERIES, WHY_ONE_SERIES)
        return set()
    shape.decide("series_field", best.name, f"such as {excerpt(best.values[0])}")
    return {best.name}


def _settle_cells(shape: _Shape, leaves: Sequence[Leaf]) -> CellFormat:
    """Settle how numbers are written as text, and return it."""
    why = {"units": "units stand behind the numbers", "decimal": "numbers have a decimal comma"}
    cells = cell_settings(leaves)
    for name, value in cells.items():
        shape.decide(name, value, why[name])
    names = {field.name for field in fields(CellFormat)}
    return CellFormat(**cells | {name: shape.given[name] for name in names & shape.given.keys()})


def _proposal(
    shape: _Shape,
    form: str,
    features: tuple[str, ...],
    other: dict[str, str],
    counters: frozenset[str] = frozenset(),
) -> Proposal:
    return Proposal(
        form=form,
        settings=shape.settings,
        features=features,
        why=shape.why,
        notes=tuple(shape.notes),
        other_fields={printable(name): printable(text) for name, text in other.items()},
        counters=counters,
    )
