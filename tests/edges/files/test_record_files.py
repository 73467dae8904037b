"""Files of records: the daemon's own decoder, and the same readings as of a CSV."""

import csv
import io
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream_vae.commands.jobs.input_files import open_files
from stream_vae.commands.options import FileFormat, FileOptions
from stream_vae.core.model_spec import numeric_features
from stream_vae.core.readings import CLOSINGS
from stream_vae.edges.files.csv_header import ColumnChoice
from stream_vae.edges.files.csv_readings import CsvReadings
from stream_vae.edges.files.record_files import TopicRecords
from stream_vae.errors import ConfigError, InputFileError
from stream_vae.inputs.cell_values import MISSING_WORDS
from stream_vae.inputs.log_lines.line_counts import features_of
from stream_vae.inputs.log_lines.log_format import LogFormat
from stream_vae.inputs.reading_format import ReadingFormat
from stream_vae.inputs.timestamps import format_times
from stream_vae.logs.templates import TemplateConfig, mine
from tests.inputs.polls import poll_of

NAN = float("nan")
TIME = "2025-03-04T01:00:00Z"


def read(
    folder: Path,
    lines: Sequence[object],
    fmt: ReadingFormat | None = None,
    form: FileFormat = "records",
    features: Sequence[str] | None = None,
    **options: Any,
) -> CsvReadings:
    path = folder / "pump-7.jsonl"
    path.write_text(
        "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
    )
    choice = ColumnChoice(features=None if features is None else tuple(features))
    told = FileOptions(format=form, **options)
    return open_files([path], choice, told, fmt or ReadingFormat()).read()


FORMS_OF_TIMES = {
    "a date": ("2026-03-01T00:{}Z ", r"^(\d\S+)"),
    "syslog": ("Mar  1 00:{} ", "syslog"),
    "klog": ("I0301 00:{} ", "klog"),
    "logcat": ("03-01 00:{}.000 ", "logcat"),
}


@pytest.mark.parametrize("form", FORMS_OF_TIMES)
def test_sessions_of_files_are_closed_by_the_times_of_their_lines(
    form: str, tmp_path: Path
) -> None:
    """One that begins where the one before ended continues it; one that begins before does not.

    When the file was written, and a line above all times, do not matter.
    """
    head, pattern = FORMS_OF_TIMES[form]
    fmt = LogFormat(
        format="log_lines",
        series="jobs",
        timestamp_pattern=pattern,
        timestamp_zone="UTC",
        message_pattern=r"(job . .*)",
        session_pattern="job (.)",
        session_end_pattern="bye",
        session_quiet_s=60,
    )
    logs = mine(["job a hi", "job a bye"] * 5, TemplateConfig(min_lines=1))
    files = {
        "1.log": ["00:00 job a hi", "00:10 job b hi", "00:20 job a bye", "00:30 none"],
        "2.log": ["00:40 job b hi", "02:00 job b hi"],  # too late for the one before
        "3.log": ["00:10 job b bye", "00:20 job c hi"],
    }
    for name, lines in files.items():
        told = [line.split(" ", 1) for line in lines]
        text = "".join(f"{head.format(time)}{message}\n" for time, message in told)
        (tmp_path / name).write_text(f"# begun\n{text}")
        written = datetime(2026, 5, 1, tzinfo=UTC).timestamp()
        os.utime(tmp_path / name, (written, written))
    features = features_of(logs.templates, (), of_sessions=True)
    choice = ColumnChoice(
        features=tuple(one.name for one in features),
        declared={one.name: one for one in features},
        logs=logs,
        is_events=True,
    )
    opened = open_files([tmp_path / name for name in files], choice, FileOptions(), fmt)
    found: list[tuple[str, int, str, float]] = []
    for batch in opened.iter_batches():
        assert batch.sessions is not None
        how = [CLOSINGS[closing] for closing in batch.sessions.closings]
        n_lines, counted = batch.sessions.n_lines.tolist(), batch.values.sum(axis=1).tolist()
        found += zip(batch.sessions.keys, n_lines, how, counted, strict=True)
    assert found == [
        ("a", 2, "ended", 2.0),
        ("b", 2, "quiet", 2.0),
        ("b", 1, "over", 1.0),
        ("b", 1, "ended", 1.0),
        ("c", 1, "over", 1.0),
    ]
    assert opened.notes[0] == (
        "5 sessions, 1 line in the median, 3 are of one line: 2 were ended by a line, 2 were open "
        "when the input was over, 1 by quiet time (input.session_quiet_s)"
    )
    assert opened.notes[1].startswith("4 lines tell no key of a session, and count nowhere: line 1")


def test_series_in_several_partitions_of_a_topic_are_told_with_what_helps() -> None:
    """Control: one that is in a single partition."""
    value = json.dumps({"timestamp": TIME, "flow": 1}).encode()
    batches = []
    for partition, keys in enumerate((b"ab", b"bc")):
        named = replace(poll_of([value] * 2), keys=[bytes([key]) for key in keys])
        batches.append(replace(named, partitions=np.full(2, partition, np.int32)))
    topic = TopicRecords("t", iter(batches), ColumnChoice(), ReadingFormat(), now_ns=2**61)
    assert len(topic.read()) == 4
    [note] = topic.notes
    assert note.startswith("1 series are in several partitions, such as b in 0 and 1: the state")


def record(value: object, key: object = "a", **more: object) -> dict[str, object]:
    return {"key": {"text": key}, "value": {"text": json.dumps(value)}, **more}


def test_records_are_read_in_every_way_their_bytes_may_be_written(tmp_path: Path) -> None:
    value = json.dumps({"timestamp": TIME, "flow": 1.5})
    lines = [
        {"key": {"text": "a"}, "value": {"text": value}},
        {"key": {"hex": "61"}, "value": {"hex": value.encode().hex()}},
        {"key": "a", "value": json.loads(value)},
        {"topic": "t", "ts": 1, "key": "a", "payload": value},
    ]
    readings = read(tmp_path, lines)
    assert readings.feature_names == ("flow",)
    assert readings.series == ["a"] * 4
    assert readings.values.tolist() == [[1.5]] * 4
    assert format_times(readings.times) == [TIME] * 4
    assert readings.lines.tolist() == [1, 2, 3, 4]
    assert readings.notes == ()


def test_dead_letters_unreadable_values_and_records_without_features_are_told(
    tmp_path: Path,
) -> None:
    lines = [
        record({"timestamp": TIME, "flow": 1, "speed": 2}),
        record({"timestamp": "noon", "flow": 1, "speed": 2}),
        record({"timestamp": TIME, "flow": "warm", "speed": 2}),
        record({"timestamp": TIME, "heartbeat": "x"}),
        {"key": {"null": True}, "value": {"text": "{"}},
    ]
    readings = read(tmp_path, lines)
    np.testing.assert_array_equal(readings.values, [[1, 2], [NAN, 2]])
    assert readings.lines.tolist() == [1, 3]
    told = "\n".join(readings.notes)
    for words in (
        "1 of 5 records are dead letters, timestamp_unparsable: line 2",
        "1 of 5 records are dead letters, not_json: line 5",
        "1 of 5 records name none of the features: line 4, has timestamp, heartbeat",
        "1 values of flow are missing, value_not_a_number: line 3",
    ):
        assert words in told


def test_bare_objects_are_of_the_files_series_and_kafkas_time_may_serve(tmp_path: Path) -> None:
    lines = [{"timestamp": TIME, "host": "b", "fields": {"flow": 1, "ok": True}}]
    readings = read(tmp_path, lines, form="jsonl")
    assert readings.series == ["pump-7"]
    assert readings.feature_names == ("fields.flow", "fields.ok")
    assert read(tmp_path, lines, form="jsonl", series_column="{host}").series == ["b"]
    stamped = [record({"flow": 1}, timestamp=1_741_050_000_000)]
    readings = read(tmp_path, stamped, timestamp_column="$record")
    assert format_times(readings.times) == ["2025-03-04T01:00:00Z"]


def test_labels_of_records_are_none_of_the_features(tmp_path: Path) -> None:
    lines = [
        record({"timestamp": TIME, "flow": 1, "label": 0}),
        record({"timestamp": TIME, "flow": 2, "label": 1}),
        record({"timestamp": TIME, "flow": 3}),
    ]
    readings = read(tmp_path, lines)
    assert readings.feature_names == ("flow",)
    assert readings.labels is not None
    assert readings.labels.tolist() == [0, 1, -1]
    with pytest.raises(InputFileError, match="line 4, field label: found 2"):
        read(tmp_path, [*lines, record({"timestamp": TIME, "flow": 4, "label": 2})])


@pytest.mark.parametrize(
    ("lines", "options", "told"),
    [
        ([], {}, "empty"),
        (["{}"], {}, "line 1.*expected an object.*--format jsonl"),
        (['{"key":"a","value":{"hex":"zz"}}'], {}, "line 1: value is no hex"),
        ([record({"timestamp": TIME})], {}, "found 0 fields of numbers.*--features"),
        ([record({"timestamp": TIME, "flow": 1}, timestamp="noon")], {}, "line 1: timestamp"),
        ([record({"timestamp": "noon", "flow": 1})], {}, "no reading; 1 of 1 records are dead"),
        ([record({"flow": 1})], {"delimiter": ";"}, "--delimiter"),
        ([record({"flow": 1})], {"timestamp_zone": "Mars"}, "time zone"),
    ],
)
def test_files_that_hold_no_readings_are_refused(
    tmp_path: Path, lines: list[object], options: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        read(tmp_path, lines, **options)


cells = st.one_of(
    st.floats(allow_nan=False, width=32).map(repr),
    st.integers(-(10**6), 10**6).map(str),
    st.sampled_from(["", "true", "False", "1,234.5", "1 234", "+Inf", " 7 ", "\u22125", "1e3"]),
    st.sampled_from([word for word in sorted(MISSING_WORDS) if word]),
)
times = st.sampled_from(
    [
        *("2025-03-04T01:00:00Z", "2025-03-04 02:00:00,5 +0100", "2025-03-04 01:00:00+00"),
        *("1741050000", "1741050000123", "1741050000.25", "04.03.2025 02:00", "2025-07-04 02:00"),
        *("2025/03/04 02:00:01", "04-Mar-2025 02:00:02", "20250304T010003Z"),
    ]
)
rows = st.lists(
    st.tuples(times, st.sampled_from(["a", "b/c"]), cells, cells), min_size=1, max_size=6
)
# A record whose values are all missing is a reading; an empty line of a CSV is none.
FMT = ReadingFormat(timestamp_zone="Europe/Berlin", series_field="series")
NAMES = ("flow", "speed")


@given(rows)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_csv_and_records_of_the_same_text_give_the_same_readings(
    tmp_path: Path, rows: list[tuple[str, str, str, str]]
) -> None:
    header = ("timestamp", "series", *NAMES)
    text = io.StringIO()
    csv.writer(text).writerows([header, *rows])
    path = tmp_path / "table.csv"
    path.write_text(text.getvalue())
    declared = {feature.name: feature for feature in numeric_features(NAMES)}
    choice = ColumnChoice(features=NAMES, declared=declared)
    table = open_files([path], choice, FileOptions(), FMT).read()
    lines = [dict(zip(header, row, strict=True)) for row in rows]
    records = read(tmp_path, lines, FMT, "jsonl", features=NAMES)
    assert records.notes == ()
    assert records.series == table.series
    assert records.times.tolist() == table.times.tolist()
    np.testing.assert_array_equal(records.values, table.values)


def test_a_feature_that_is_asked_for_and_left_out_is_refused(tmp_path: Path) -> None:
    lines = [record({"timestamp": TIME, "flow": 1, "level": 2})]
    assert read(tmp_path, lines, ignore=["level"]).feature_names == ("flow",)
    with pytest.raises(InputFileError, match="--ignore level: found it among the features"):
        read(tmp_path, lines, features=["flow", "level"], ignore=["level"])
