"""Records of collectd's `write_kafka`: arrays of value lists."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stream_vae.inputs.collectd import SERIES_FIELD, values_of
from stream_vae.inspect.labelled_points import Point, name_points
from stream_vae.inspect.proposal import Proposal

_FIELDS = frozenset({"values", "dstypes", "dsnames", "plugin", "type", "time", "host"})
_COUNTERS = frozenset({"counter", "derive"})
"""Types of data that are totals; `gauge` and `absolute` are not."""


def is_of_collectd(document: object) -> bool:
    """Return whether a record is an array of value lists."""
    first = document[0] if isinstance(document, list) and document else None
    return isinstance(first, dict) and first.keys() >= _FIELDS


def propose_collectd(documents: Sequence[tuple[int, Any]], given: Mapping[str, Any]) -> Proposal:
    """Return the settings that read value lists.

    Args:
        documents: Row and content of each record.
        given: Settings that the operator has decided.
    """
    points = [point for row, document in documents for point in _points(row, document)]
    form = "collectd's JSON"
    if not points:
        return Proposal(form=form, settings={"format": "collectd"}, features=())
    series = given if given.keys() & {"series", "series_field"} else {"series_field": SERIES_FIELD}
    naming = name_points(
        points,
        "{name}",
        keys_name_series=False,
        may_lack_labels=False,
        keys=(),
        given={"feature_name": "{name}", **given, **series},
    )
    return Proposal(
        form=form,
        settings={"format": "collectd"},
        features=naming.features,
        notes=naming.notes,
        counters=naming.counters,
    )


def _points(row: int, document: Any) -> Iterator[Point]:
    for one in document if isinstance(document, list) else ():
        types = one.get("dstypes") if isinstance(one, dict) else None
        for at, value in enumerate(values_of(one)):
            if not isinstance(value, dict) or "name" not in value:
                continue
            is_counter = isinstance(types, list) and types[at : at + 1] and types[at] in _COUNTERS
            yield Point(
                row=row,
                name=value["name"],
                labels={"host": value.get("host")},
                time=value.get("time"),
                is_counter=bool(is_counter),
            )
