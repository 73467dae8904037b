"""What is proposed for a sample reads it, by the daemon's own decoder."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream_vae.core.model_spec import numeric_features
from stream_vae.inputs.formats import build_decoder
from stream_vae.inspect.configuration import configuration
from stream_vae.inspect.facts import counters_of, step_facts
from stream_vae.inspect.inspection import Inspection
from stream_vae.inspect.report import as_plain, report_lines, train_command
from stream_vae.inspect.survey import inspect_records
from stream_vae.settings import load_settings
from tests.inputs.otlp_messages import CUMULATIVE, Point, as_json, as_protobuf
from tests.inspect.shapes import SHAPES, START, STEPS, Record, batch_of

NOW_NS = (START + 3600 * 24) * 10**9


@pytest.mark.parametrize("name", SHAPES)
def test_the_configuration_that_is_proposed_reads_every_record_into_the_right_features(
    name: str, tmp_path: Path
) -> None:
    shape = SHAPES[name]
    batch = batch_of(shape.records)
    found = inspect_records(batch, now_ns=NOW_NS)
    assert set(found.features) == shape.features
    for setting, value in shape.settings.items():
        assert found.proposal.settings.get(setting) == value, setting
    path = tmp_path / "proposed.yaml"
    path.write_text(configuration(found, topic="metrics", servers="b:9092"))
    settings = load_settings(config=path, environ={}).settings
    decoder = build_decoder(numeric_features(found.features), settings.input)
    decoded = decoder.decode(batch, NOW_NS)
    assert decoded.rejections == []
    assert decoded.ignored in ([], ())
    assert set(decoded.index.tolist()) == set(range(len(batch)))
    assert len(decoded.readings) == shape.n_readings == found.proof.n_readings
    assert set(decoded.readings.series) == set(shape.series)
    expected = {START + 60 * at for at in range(STEPS)}
    assert {round(time / 1e9) for time in decoded.readings.times.tolist()} <= {
        at + late for at in expected for late in (0, 1)
    }
    assert not np.isnan(decoded.readings.values).all(axis=0).any()


def test_what_rises_numbers_records_or_never_changes_is_named_and_left_out() -> None:
    shape = SHAPES["wide, host in a field, a row number, a constant and a counter"]
    found = inspect_records(batch_of(shape.records), now_ns=NOW_NS)
    assert found.left_out == {"id": "row number", "flag": "constant", "bytes": "counter"}
    assert {field.name for field in found.fields} == {*shape.features, *found.left_out}


def test_records_that_cannot_be_read_are_told_with_their_reason() -> None:
    shape = SHAPES["wide with keys"]
    bad = [Record(b"{", key=b"web-1"), Record(b'{"timestamp": "noon", "flow": 1}', key=b"web-1")]
    found = inspect_records(batch_of([*shape.records, *bad]), now_ns=NOW_NS)
    assert {reason: count for reason, (count, _) in found.proof.rejected.items()} == {
        "not_json": 1,
        "timestamp_unparsable": 1,
    }
    assert found.proof.n_read == len(shape.records)


def test_nothing_from_the_stream_controls_the_terminal_or_the_configuration() -> None:
    evil = "x\x1b[2J\n  topic: other"
    records = [
        Record(
            json.dumps(
                {"timestamp": START + at, evil: at % 5, "s": evil, "level": at % 3}
            ).encode(),
            key=f"{at % 2}\u2028".encode(),
        )
        for at in range(20)
    ]
    found = inspect_records(batch_of(records), now_ns=NOW_NS)
    text = "\n".join(report_lines(found))
    assert text.replace("\n", "").isprintable()
    assert configuration(found).replace("\n", "").isprintable()
    assert configuration(found).count("topic:") == 1
    assert evil in found.features
    as_text = json.dumps(as_plain(found))
    assert json.loads(as_text)["features"] == list(found.features)


@pytest.mark.parametrize(
    "values", [[b"\xff\x00\x91"], [None], [b"3"], [b"{}"], [b"[]"], [b"\0\0\0\0\7\2ab"]]
)
def test_what_holds_no_readings_is_told_not_read(values: list[bytes | None]) -> None:
    batch = replace(batch_of([Record(b"") for _ in values]), values=values)
    found = inspect_records(batch, now_ns=NOW_NS)
    assert found.proof.n_read == 0
    assert found.proof.refusal
    assert list(report_lines(found))


def metrics(row: int) -> dict[str, Any]:
    tags = {"host": f"h{row % 2}", "dc": "a"}
    fields = {"idle": row * row % 7, "user": row % 5}
    return {"fields": fields, "name": "cpu", "tags": tags, "timestamp": START + 10 * row}


@pytest.mark.parametrize(
    ("given", "features", "series"),
    [
        ({"series": "plant"}, {"cpu.idle", "cpu.user"}, {"plant"}),
        ({"series_field": "tags.dc"}, {"cpu.idle", "cpu.user"}, {"a"}),
        ({"feature_name": "{field}"}, {"idle", "user"}, {"h0", "h1"}),
        ({"feature_fields": {"i": "cpu.idle"}}, {"i", "cpu.user"}, {"h0", "h1"}),
        (
            {"preset": None, "series_field": "tags.host"},
            {"fields.idle", "fields.user"},
            {"h0", "h1"},
        ),
        (
            {"missing_words": ("gone",), "max_future_s": 10.0},
            {"cpu.idle", "cpu.user"},
            {"h0", "h1"},
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_what_the_operator_has_decided_is_used_and_printed_as_it_is(
    given: dict[str, Any], features: set[str], series: set[str], tmp_path: Path
) -> None:
    records = [Record(json.dumps(metrics(row)).encode()) for row in range(40)]
    found = inspect_records(batch_of(records), now_ns=NOW_NS, given=given)
    assert set(found.features) == features
    assert found.series is not None
    assert set(found.series.readings) == series
    path = tmp_path / "proposed.yaml"
    path.write_text(configuration(found))
    settings = load_settings(config=path, environ={}).settings.input
    for name, value in given.items():
        assert getattr(settings, name) == value


def test_a_series_field_that_no_record_has_is_named_with_what_is_there() -> None:
    records = [Record(json.dumps(metrics(row)).encode()) for row in range(4)]
    found = inspect_records(batch_of(records), now_ns=NOW_NS, given={"series_field": "host-a"})
    text = "\n".join(report_lines(found))
    assert found.proof.n_read == 0
    assert "4 would be dead letters, key_missing: input.series_field host-a finds nothing" in text
    assert "tags.host" in text
    assert "seen, and none of them read: cpu.idle, cpu.user" in text


def test_what_is_missing_is_told_by_steps_of_which_the_parts_are_put_together() -> None:
    """Control: a feature that really is missing every other step."""
    records = [
        Record(json.dumps({"host": "a", "ts": START + at + late, name: at % 7}).encode())
        for at in range(0, 300, 10)
        for late, name in ((0, "one"), (0.4, "two"), (0.9, "three"))
        if name != "three" or at % 20
    ]
    found = inspect_records(batch_of(records), now_ns=NOW_NS)
    assert found.steps is not None
    assert found.steps.step_s == 10
    assert {field.name: field.missing for field in found.fields} == {
        "one": 0,
        "two": 0,
        "three": 0.5,
    }


def test_keys_of_a_schema_registry_are_read_by_it() -> None:
    """Control: the same numbers before plain values are int64 keys."""
    value = json.dumps({"timestamp": START, "flow": 1}).encode()
    for raw, key_format in ((b"\0\0\0\0\7" + value, "registry"), (value, "int64")):
        records = [Record(raw, key=b"\0\0\0\0\7" + bytes([6, 65, at % 2])) for at in range(20)]
        found = inspect_records(batch_of(records), now_ns=NOW_NS)
        assert found.proposal.settings["key_format"] == key_format
        assert (found.proposal.settings.get("format") == "registry") == (key_format == "registry")


def test_counters_that_records_themselves_name_are_told_as_known() -> None:
    """Control: one that is guessed from its values."""
    known = inspect_records(batch_of(SHAPES["collectd"].records), now_ns=NOW_NS)
    text = "\n".join(report_lines(known))
    assert text.count("a counter, as its records say, trained on as a rate") == 2
    counters = counters_of(known.fields, known.proposal.counters)
    assert counters == ["if_octets/if_octets/rx", "if_octets/if_octets/tx"]
    command = train_command([], known.features, counters=counters)
    assert "--rule if_octets/if_octets/rx=rate" in command
    shape = SHAPES["wide, host in a field, a row number, a constant and a counter"]
    guessed = inspect_records(batch_of(shape.records), now_ns=NOW_NS)
    assert "a counter, by its values, trained on as a rate" in "\n".join(report_lines(guessed))


def test_partitions_have_no_order_that_a_reading_could_be_late_in() -> None:
    """Control: within one partition the same readings are."""
    times = np.array([10, 20, 30, 0, 10, 20], np.int64) * 10**9
    apart = step_facts(times, ["a"] * 6, np.array([0, 0, 0, 1, 1, 1], np.int32))
    together = step_facts(times, ["a"] * 6, np.zeros(6, np.int32))
    assert apart is not None
    assert together is not None
    assert (apart.latest_s, together.latest_s) == (0.0, 30.0)


@pytest.mark.parametrize("write", [as_json, as_protobuf])
def test_the_printed_command_has_units_and_leaves_out_what_seldom_changes(
    write: Callable[..., bytes],
) -> None:
    """Control: the same where it changes at each step. What becomes a rate is proven, too."""

    def look(every: int) -> tuple[Inspection, str]:
        moves = [0 if at % every else 1 + at % 7 for at in range(60)]
        records = []
        for at, move in enumerate(moves):
            now = (START + 10 * at) * 10**9
            points = [
                Point(metric="load", unit="1", value=at % 7, time_ns=now),
                Point(metric="free", unit="By", value=move, time_ns=now),
            ]
            totals = [("wait", "s", sum(moves[: at + 1])), ("served", "{requests}", at * (at + 1))]
            sums = [
                Point(
                    metric=name,
                    unit=unit,
                    value=value,
                    time_ns=now,
                    temporality=CUMULATIVE,
                    is_monotonic=True,
                )
                for name, unit, value in totals
            ]
            records += [Record(write(({"host.name": "a"}, each))) for each in (points, sums)]
        found = inspect_records(batch_of(records), now_ns=NOW_NS)
        counters = counters_of(found.fields, found.proposal.counters)
        names = [*found.features, *counters]
        return found, train_command([], names, counters=counters, units=found.proposal.units)

    found, command = look(every=1)
    assert "--features load,free,wait,served --rule wait=rate --rule served=rate" in command
    assert "--unit free=By --unit wait=s/s --unit served=requests/s" in command
    assert found.left_out == {"wait": "counter", "served": "counter"}
    assert found.proof.n_ignored == 0
    found, command = look(every=30)
    assert "--features load,served --rule served=rate --unit served=requests/s" in command
    assert found.left_out == {
        "free": "seldom changes",
        "wait": "seldom changes",
        "served": "counter",
    }
    text = "\n".join(report_lines(found))
    assert text.count("seldom changes: any other value would alert") == 2
