"""What is proposed for a sample reads it, by the daemon's own decoder."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stream_vae.core.model_spec import numeric_features
from stream_vae.inputs.formats import build_decoder
from stream_vae.inspect.configuration import configuration
from stream_vae.inspect.report import as_plain, report_lines
from stream_vae.inspect.survey import inspect_records
from stream_vae.settings import load_settings
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
