"""Records of InfluxDB's line protocol."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from stream_vae.errors import DecodeError
from stream_vae.inputs.line_protocol import FEATURE_NAME, read_lines
from stream_vae.inspect.labelled_points import Point, name_points
from stream_vae.inspect.proposal import ONE_SERIES, WHY_ONE_SERIES, Proposal


def looks_like_lines(raw: bytes) -> bool:
    """Return whether a record is of line protocol."""
    try:
        return bool(read_lines(raw))
    except DecodeError:
        return False


def propose_lines(
    records: Sequence[tuple[int, bytes]],
    keys: Sequence[Hashable],
    *,
    keys_name_series: bool,
    given: Mapping[str, Any],
) -> Proposal:
    """Return the settings that read lines.

    Args:
        records: Row and value of each.
        keys: Of all records of the sample, by row.
        keys_name_series: They could name the series.
        given: Settings that the operator has decided.
    """
    points: list[Point] = []
    texts: dict[str, str] = {}
    for row, raw in records:
        for line in read_lines(raw):
            labels = {name: text for name, text in line.labels.items() if name != "name"}
            for field, value in line.fields.items():
                if isinstance(value, str):
                    texts.setdefault(f"{line.labels['name']}.{field}", f"text, {value!r}")
                    continue
                points.append(
                    Point(
                        row=row,
                        name=line.labels["name"],
                        field=field,
                        labels=labels,
                        time=line.time,
                    )
                )
    if not points:
        return Proposal(
            form="InfluxDB's line protocol, without numbers",
            settings={"format": "influx"},
            features=(),
            other_fields=texts,
        )
    naming = name_points(
        points,
        FEATURE_NAME,
        keys_name_series=keys_name_series,
        may_lack_labels=False,
        keys=keys,
        given=given,
    )
    settings: dict[str, Any] = {"format": "influx"}
    why = {"series": WHY_ONE_SERIES}
    if naming.series_field is not None:
        settings["series_field"] = naming.series_field
    elif naming.is_one_series:
        settings["series"] = ONE_SERIES
    else:
        why["format"] = "the record's key names the series"
    if naming.feature_name != FEATURE_NAME:
        settings["feature_name"] = naming.feature_name
    return Proposal(
        form="InfluxDB's line protocol",
        settings=settings,
        features=naming.features,
        why=why,
        notes=naming.notes,
        other_fields=texts,
    )
