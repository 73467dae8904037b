"""Records of collectd and rsyslog as Debian ships them; see `made_by` in the file."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream_vae.core.model_spec import numeric_features
from stream_vae.core.records import RecordBatch
from stream_vae.errors import ConfigError
from stream_vae.inputs.decoder import Decoded
from stream_vae.inputs.formats import build_decoder
from stream_vae.inputs.reading_format import ReadingFormat

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/debian_producers.json").read_text())


def decode(values: list[bytes | None], *names: str, **settings: Any) -> Decoded:
    n = len(values)
    records = RecordBatch(
        topic="t",
        partitions=np.zeros(n, np.int32),
        offsets=np.arange(n),
        timestamps=np.zeros(n, np.int64),
        timed_by_broker=False,
        keys=[None] * n,
        values=values,
        headers=lambda _: (),
    )
    decoder = build_decoder(numeric_features(names), ReadingFormat(**settings))
    return decoder.decode(records, 2 * 10**18)


def test_records_of_collectd_are_read() -> None:
    sent = [json.loads(record)[0] for record in GOLDEN["collectd"]]
    names = ("load/load/shortterm", "load/load/longterm", "memory/memory-used", "uptime/uptime")
    decoded = decode([r.encode() for r in GOLDEN["collectd"]], *names, format="collectd")
    assert decoded.rejections == []
    assert set(decoded.readings.series) == {"pump-host"}
    found = dict(zip(names, np.nanmax(decoded.readings.values, axis=0).tolist(), strict=True))
    by_kind = {(one["type"], one["type_instance"]): one["values"] for one in sent}
    assert found["load/load/shortterm"] == by_kind["load", ""][0]
    assert found["load/load/longterm"] == by_kind["load", ""][2]
    assert found["memory/memory-used"] == by_kind["memory", "used"][0]
    assert found["uptime/uptime"] == by_kind["uptime", ""][0]
    load = next(one for one in sent if one["type"] == "load")
    assert abs(decoded.readings.times[0] - round(load["time"] * 1000) * 10**6) < 1000


def test_rates_that_collectd_does_not_know_yet_are_missing() -> None:
    records = [r.encode() for r in GOLDEN["collectd"] if "if_octets" in r]
    decoded = decode(records, "interface-lo/if_octets/rx", format="collectd")
    assert np.isnan(decoded.readings.values[0, 0])
    assert decoded.readings.values[1, 0] >= 0
    named = decode(records, "lo rx", format="collectd", feature_name="{plugin_instance} {dsname}")
    np.testing.assert_array_equal(named.readings.values, decoded.readings.values)


def test_what_is_no_value_list_is_rejected_or_ignored_alone() -> None:
    good = GOLDEN["collectd"][0].encode()
    broken = [None, b"{", b"[1]", b'{"values": 1}', b'[{"values":[1],"dsnames":[]}]', b"[]"]
    decoded = decode([good, *broken, good], "load/load/shortterm", format="collectd")
    assert decoded.index.tolist() == [0, 7]
    rejected = {r.index for r in decoded.rejections}
    assert rejected | set(decoded.ignored) == {1, 2, 3, 4, 5, 6}
    assert rejected >= {1, 2, 3}
    with pytest.raises(ConfigError, match=r"input\.value_field"):
        decode([], "x", format="collectd", value_field="value")


def test_statistics_of_rsyslog_are_read() -> None:
    decoded = decode(
        [r.encode() for r in GOLDEN["rsyslog"]],
        "submitted",
        "skipped",
        series_field="{host}/{stats.name}",
        feature_fields={
            "submitted": "stats.submitted",
            "skipped": r"stats.topicdynacache\.skipped",
        },
    )
    assert decoded.readings.series == ["vm/omkafka"]
    assert decoded.readings.values.tolist() == [[0.0, 0.0]]
