"""Input format `collectd`: what collectd's `write_kafka` plugin writes with `Format JSON`.

A record is an array of value lists: `{"values": [0.3, 0.4], "dsnames": ["rx", "tx"], "plugin":
"interface", "plugin_instance": "eth0", "type": "if_octets", "type_instance": "", "host": "a",
"time": 1767225600.0, …}`. Each value becomes an object with a name, as collectd itself writes it:
`interface-eth0/if_octets/rx`, and without the last part where a list has one value.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec

from stream_vae.core.model_spec import Feature
from stream_vae.core.records import RecordBatch
from stream_vae.errors import ConfigError
from stream_vae.inputs.decode_errors import DecodeErrors
from stream_vae.inputs.json_points import JsonPointParser
from stream_vae.inputs.nesting import is_too_deep
from stream_vae.inputs.raw_readings import RawReadings
from stream_vae.inputs.reading_format import ReadingFormat

SERIES_FIELD = "host"
_GROWTH = 8  # a list's names are repeated for each of its values


def collectd_format(fmt: ReadingFormat) -> ReadingFormat:
    """Return the settings of the objects that values become.

    Raises:
        ConfigError: If settings are given that the format decides.
    """
    for name, found in (("value_field", fmt.value_field), ("name_field", fmt.name_field)):
        if found is not None:
            raise ConfigError(f"input.{name} has no meaning with input.format collectd")
    return replace(
        fmt,
        format="json",
        records_path="$",
        name_field="name",
        value_field="value",
        timestamp_field="time",
        series_field=None if fmt.series else fmt.series_field or SERIES_FIELD,
        max_record_bytes=_GROWTH * fmt.max_record_bytes,
    )


class CollectdParser:
    """Parses records of value lists.

    Args:
        features: F, in the model's order.
        fmt: The operator's choices.

    Raises:
        ConfigError: If the format is inconsistent or does not fit the features.
    """

    def __init__(self, features: Sequence[Feature], fmt: ReadingFormat) -> None:
        self._points = JsonPointParser(features, collectd_format(fmt))
        self._max_bytes = fmt.max_record_bytes

    def parse(self, batch: RecordBatch, errors: DecodeErrors) -> RawReadings:
        """Return the readings of the valid value lists; the errors of the others to `errors`."""
        values = [self._expanded(raw) for raw in batch.values]
        return self._points.parse(replace(batch, values=values), errors)

    def _expanded(self, raw: bytes | None) -> bytes | None:
        """Return a record with an object for each value; as it is where it has another form."""
        if raw is None or len(raw) > self._max_bytes or is_too_deep(raw):
            return raw
        try:
            lists = msgspec.json.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return raw  # the reader of JSON tells what is wrong
        if not isinstance(lists, list):
            return raw
        return msgspec.json.encode([each for one in lists for each in values_of(one)])


def values_of(one: Any) -> list[Any]:
    """Return an object for each value of a list; what is no value list, as it is."""
    if not isinstance(one, dict):
        return [one]
    values, names = one.get("values"), one.get("dsnames")
    if not isinstance(values, list) or not isinstance(names, list) or len(values) != len(names):
        return [one]
    labels = {key: value for key, value in one.items() if not isinstance(value, list)}
    plugin, kind = (_joined(one, part) for part in ("plugin", "type"))
    base = f"{plugin}/{kind}"
    return [
        {
            **labels,
            "name": base if len(values) == 1 else f"{base}/{name}",
            "dsname": name,
            "value": value,
        }
        for name, value in zip(names, values, strict=True)
    ]


def _joined(one: dict[str, Any], part: str) -> str:
    instance = one.get(f"{part}_instance")
    return f"{one.get(part)}-{instance}" if instance else str(one.get(part))
