import csv
import gzip
import os
import threading
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_vae.edges.files import csv_readings
from stream_vae.edges.files.csv_header import ColumnChoice
from stream_vae.edges.files.csv_readings import CHUNK_ROWS, CsvFiles, CsvReadings, read_csv
from stream_vae.edges.files.csv_rows import MAX_ROW_CHARACTERS
from stream_vae.errors import InputFileError
from stream_vae.inputs.timestamps import format_times

HOUR_NS = 3600 * 10**9
NAN = float("nan")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def write(folder: Path, text: str | bytes, name: str = "pump-7.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def read(
    folder: Path, text: str | bytes, feature_names: Sequence[str] | None = None
) -> CsvReadings:
    features = None if feature_names is None else tuple(feature_names)
    return read_csv([write(folder, text)], ColumnChoice(features=features))


def test_columns_are_read_by_name(folder: Path) -> None:
    readings = read(
        folder,
        "flow,label,series,timestamp, speed \n"
        "1.5,0,a,1970-01-01T00:00:00Z,-2\n"
        "2.5,1,b,1970-01-01 01:00:00,3e2\n",
    )
    assert readings.feature_names == ("flow", "speed")
    assert readings.times.tolist() == [0, HOUR_NS]
    assert readings.series == ["a", "b"]
    assert readings.values.tolist() == [[1.5, -2], [2.5, 300]]
    assert readings.labels is not None
    assert readings.labels.tolist() == [0, 1]
    assert readings.lines.tolist() == [2, 3]
    assert readings.ignored_columns == ()


def test_a_file_without_series_is_one_series_named_after_it(folder: Path) -> None:
    readings = read(folder, "timestamp,flow\n0,1\n3600,2\n")
    assert readings.series == ["pump-7", "pump-7"]
    assert readings.times.tolist() == [0, HOUR_NS]
    assert readings.labels is None


@pytest.mark.parametrize("cell", ["", " ", "NaN", "nan", "NA", "n/a", "null", "None"])
def test_missing_cells_are_not_observed_and_counted(folder: Path, cell: str) -> None:
    readings = read(folder, f"timestamp,flow,speed\n0,{cell},1\n1,2,3\n")
    np.testing.assert_array_equal(readings.values, [[NAN, 1], [2, 3]])
    assert readings.missing_cells.tolist() == [1, 0]
    assert readings.infinite_cells.tolist() == [0, 0]


@pytest.mark.parametrize("cell", ["inf", "-Infinity", "1e400"])
def test_infinite_cells_are_not_observed_and_counted_apart(folder: Path, cell: str) -> None:
    readings = read(folder, f"timestamp,flow,speed\n0,1,{cell}\n1,2,3\n")
    np.testing.assert_array_equal(readings.values, [[1, NAN], [2, 3]])
    assert readings.missing_cells.tolist() == [0, 0]
    assert readings.infinite_cells.tolist() == [0, 1]


def test_several_files_follow_each_other(folder: Path) -> None:
    first = write(folder, "timestamp,flow,speed\n0,1,2\n", "a.csv")
    second = write(folder, "speed,timestamp,flow,label\n4,1,3,1\n", "b.csv")
    readings = read_csv([first, second])
    assert readings.values.tolist() == [[1, 2], [3, 4]]
    assert readings.series == ["a", "b"]
    assert readings.file_numbers.tolist() == [0, 1]
    assert readings.lines.tolist() == [2, 2]
    assert readings.labels is not None
    assert readings.labels.tolist() == [-1, 1]


def test_a_model_takes_its_features_in_its_order_and_ignores_others(folder: Path) -> None:
    text = "timestamp,note,flow,speed\n0,any text,1,2\n"
    readings = read(folder, text, feature_names=["speed", "flow"])
    assert readings.feature_names == ("speed", "flow")
    assert readings.values.tolist() == [[2, 1]]
    assert readings.ignored_columns == ("note",)


def test_a_byte_order_mark_blank_lines_and_windows_line_ends_do_no_harm(folder: Path) -> None:
    readings = read(folder, b"\xef\xbb\xbftimestamp,flow\r\n0,1\r\n\r\n1,2\r\n")
    assert readings.values.tolist() == [[1], [2]]
    assert readings.lines.tolist() == [2, 4]


def test_quoted_cells_may_span_lines(folder: Path) -> None:
    readings = read(folder, 'timestamp,series,flow\n0,"a\nb",1\n1,c,2\n')
    assert readings.series == ["a\nb", "c"]
    assert readings.lines.tolist() == [2, 4]


@pytest.mark.parametrize("name", ["pump-9.csv.gz", "pump-9.csv"])
@pytest.mark.parametrize("pack", [gzip.compress, bytes])
def test_gzip_is_unpacked_whatever_its_name(
    folder: Path, name: str, pack: Callable[[bytes], bytes]
) -> None:
    readings = read_csv([write(folder, pack(b"timestamp,flow\n0,1\n"), name)])
    assert readings.series == ["pump-9"]
    assert readings.values.tolist() == [[1]]


def test_batches_cover_each_row_of_all_files_once_in_order(folder: Path) -> None:
    n = CHUNK_ROWS + 3
    first = write(folder, "timestamp,flow\n" + "".join(f"{i},{i}\n" for i in range(n)), "a.csv")
    second = write(folder, "timestamp,flow\n0,1\n", "b.csv")
    batches = list(CsvFiles([first, second]).iter_batches())
    readings = read_csv([first, second])
    assert [len(batch) for batch in batches] == [CHUNK_ROWS, 3, 1]
    assert np.concatenate([batch.offsets for batch in batches]).tolist() == list(range(n + 1))
    assert np.concatenate([batch.values for batch in batches]).tolist() == readings.values.tolist()
    assert [name for batch in batches for name in batch.series] == readings.series
    assert {batch.topic for batch in batches} == {"a.csv"}
    assert all(not batch.partitions.any() for batch in batches)


def test_more_rows_than_one_chunk_are_all_read(folder: Path) -> None:
    rows = 10_000
    text = "timestamp,flow\n" + "".join(f"{n},{n if n != 9_000 else ''}\n" for n in range(rows))
    readings = read(folder, text)
    assert len(readings) == rows
    assert readings.lines[-1] == rows + 1
    assert np.flatnonzero(np.isnan(readings.values[:, 0])).tolist() == [9_000]
    assert readings.missing_cells.tolist() == [1]


GOOD = "timestamp,flow\n0,1\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "pump-7.csv: empty; expected a header"),
        ("timestamp,flow\n", "pump-7.csv: no reading below the header"),
        ("clock,flow\n0,1\n", "line 1: no column timestamp; found 'clock', 'flow'"),
        ("timestamp:flow\n0:1\n", "found 'timestamp:flow', expected the time"),
        ("timestamp,label\n0,1\n", "line 1: no feature"),
        ("timestamp,flow,flow\n0,1,2\n", "line 1: column 'flow' stands there more than once"),
        ("timestamp,,flow\n0,1,2\n", "line 1, column 2: no name"),
        (GOOD + "1,2,3\n", "line 3: 3 cells; expected 2"),
        (GOOD + "1\n", "line 3: 1 cells; expected 2"),
        (GOOD + "1,warm\n", 'line 3, column flow: found "warm"; expected a number'),
        (GOOD + "1,1_000\n", 'line 3, column flow: found "1_000"'),
        (GOOD + '1,"1,5"\n', 'line 3, column flow: found "1,5"'),
        (GOOD + "noon,1\n", 'line 3, column timestamp: timestamp "noon"; expected'),
        (GOOD + ",1\n", 'line 3, column timestamp: timestamp ""; expected'),
        (GOOD + "1969-12-31,1\n", "line 3, column timestamp: timestamp"),
        ("timestamp,flow,series\n0,1,\n", "line 2, column series: 0 characters"),
        ("timestamp,flow,label\n0,1,yes\n", 'line 2, column label: found "yes"; expected 0 or 1'),
        (GOOD.encode() + b"1,\xff\n", "line 3: byte 0xff is not UTF-8"),
        (GOOD + '1,"2\n', "line 3: unexpected end of data"),
        (GOOD + "1," + "2" * 200_000 + "\n", "line 3: field larger than field limit"),
        (
            GOOD + "1,2" + "," * MAX_ROW_CHARACTERS,
            "line 3: a row of more than 1,048,576 characters",
        ),
        (GOOD + '1,"2\n",' + '"\n",' * (MAX_ROW_CHARACTERS // 4), "line 3: a row of more than"),
        ("timestamp" + "," * MAX_ROW_CHARACTERS, "line 1: a row of more than"),
    ],
)
def test_files_that_cannot_be_used_are_refused_with_the_place(
    folder: Path, text: str | bytes, told: str
) -> None:
    with pytest.raises(InputFileError) as caught:
        read(folder, text)
    assert str(folder / "pump-7.csv") in str(caught.value)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("features", "told"),
    [
        (["flow", "speed"], "no column 'speed'; found 'flow'"),
        (["x", "y"], "no column 'x', 'y'; found 'flow'"),
    ],
)
def test_a_file_that_lacks_the_models_features_is_refused(
    folder: Path, features: list[str], told: str
) -> None:
    with pytest.raises(InputFileError) as caught:
        read(folder, GOOD, feature_names=features)
    assert told in str(caught.value)


@pytest.mark.parametrize("header", ["timestamp,speed", "timestamp,flow,speed"])
def test_training_files_must_have_the_same_features(folder: Path, header: str) -> None:
    first = write(folder, GOOD, "a.csv")
    cells = ",".join("1" for _ in header.split(","))
    second = write(folder, f"{header}\n{cells}\n", "b.csv")
    with pytest.raises(InputFileError, match="'speed'") as caught:
        read_csv([first, second])
    assert "b.csv, line 1" in str(caught.value)


def test_files_that_cannot_be_opened_are_refused(folder: Path) -> None:
    with pytest.raises(InputFileError, match=r"absent\.csv: cannot be read: No such file"):
        read_csv([folder / "absent.csv"])
    with pytest.raises(InputFileError, match="cannot be read: Is a directory"):
        read_csv([folder])
    with pytest.raises(InputFileError, match="no input file"):
        read_csv([])


def test_a_row_as_long_as_a_row_may_be_is_read(folder: Path) -> None:
    """Control for the refusals above: a thousand cells, and lines of many such rows."""
    row = ",".join("1" * 1000 for _ in range(MAX_ROW_CHARACTERS // 1001 - 1))
    names = ",".join(f"f{i}" for i in range(row.count(",") + 1))
    readings = read(folder, f"timestamp,{names}\n" + f"0,{row}\n" * 3)
    assert len(readings) == 3


def test_a_packed_line_without_an_end_is_refused_in_little_memory(folder: Path) -> None:
    """300 MB of one cell, packed to 300 kB: refused after the first of it."""
    path = folder / "bomb.csv.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(GOOD.encode() + b"1,")
        for _ in range(300):
            file.write(b"," * 1_000_000)
    tracemalloc.start()
    with pytest.raises(InputFileError, match="line 3: a row of more than"):
        read_csv([path])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6


def test_more_than_can_be_held_is_refused_where_it_becomes_too_much(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control: read a batch at a time, they may be as many as they like."""
    n = 2 * CHUNK_ROWS
    path = write(folder, "timestamp,flow\n" + "".join(f"{i},{i}\n" for i in range(n)))
    monkeypatch.setattr(csv_readings, "MAX_CELLS", n * 5 - 1)
    with pytest.raises(InputFileError, match=rf"line {n + 1}: more than 40,959 cells"):
        read_csv([path])
    assert sum(len(batch) for batch in CsvFiles([path]).iter_batches()) == n
    monkeypatch.setattr(csv_readings, "MAX_CELLS", n * 5)
    assert len(read_csv([path])) == n


LABELLED = "timestamp,flow,anomaly,changepoint\n0,1,0,0\n1,2,1,1\n"


def test_the_label_may_have_another_name_and_columns_be_left_out(folder: Path) -> None:
    choice = ColumnChoice(label="anomaly", drop=frozenset({"changepoint"}), refuse_labels=True)
    readings = read_csv([write(folder, LABELLED)], choice)
    assert readings.feature_names == ("flow",)
    assert readings.labels is not None
    assert readings.labels.tolist() == [0, 1]
    assert readings.ignored_columns == ("changepoint",)


@pytest.mark.parametrize(
    "name",
    ["anomaly", "is_anomaly", "Anomalies", "changepoint", "change_point", "Label", "outlier"],
)
def test_a_feature_that_is_a_label_by_its_name_is_refused_where_a_model_would_learn_it(
    folder: Path, name: str
) -> None:
    """Control: elsewhere, or under a name that only holds the word, it is a feature."""
    path = write(folder, f"timestamp,flow,{name}\n0,1,0\n")
    with pytest.raises(
        InputFileError, match=rf"'{name}' is a label by its name.*--label.*--ignore"
    ):
        read_csv([path], ColumnChoice(refuse_labels=True))
    assert read_csv([path]).feature_names == ("flow", name)
    harmless = write(folder, f"timestamp,flow,pump_{name}_rate\n0,1,0\n")
    assert len(read_csv([harmless], ColumnChoice(refuse_labels=True)).feature_names) == 2


@pytest.mark.parametrize(
    "choice", [ColumnChoice(label="anomoly"), ColumnChoice(drop=frozenset({"anomoly"}))]
)
def test_a_column_to_leave_out_that_no_file_has_is_refused(
    folder: Path, choice: ColumnChoice
) -> None:
    with pytest.raises(InputFileError, match="no column 'anomoly'"):
        read_csv([write(folder, LABELLED)], choice)


def test_broken_gzip_files_are_refused(folder: Path) -> None:
    whole = gzip.compress(GOOD.encode() * 50)
    for broken in (whole[:-12], whole[:30] + b"\x00" * 8 + whole[38:]):
        with pytest.raises(InputFileError, match=r"pump\.csv\.gz: not a whole gzip file"):
            read_csv([write(folder, broken, "pump.csv.gz")])


@given(st.binary(max_size=60) | st.text(alphabet='timestamp,flow\n01"', max_size=60))
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes | str
) -> None:
    path = tmp_path_factory.mktemp("any") / "any.csv"
    start = b"timestamp,flow\n0,1\n"
    path.write_bytes(start + (content.encode() if isinstance(content, str) else content))
    try:
        readings = read_csv([path])
    except InputFileError:
        return
    assert len(readings) >= 1
    assert not np.isinf(readings.values).any()


@given(
    st.lists(
        st.tuples(
            st.integers(min_value=0, max_value=10**18),
            st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=5),
            st.floats(allow_infinity=False),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_written_tables_are_read_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, str, float]]
) -> None:
    path = tmp_path_factory.mktemp("table") / "table.csv"
    times = [time for time, _, _ in rows]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["timestamp", "series", "flow"])
        writer.writerows(
            (text, series, value)
            for text, (_, series, value) in zip(format_times(np.array(times)), rows, strict=True)
        )
    readings = read_csv([path])
    assert readings.times.tolist() == times
    assert readings.series == [series for _, series, _ in rows]
    np.testing.assert_array_equal(readings.values[:, 0], [value for _, _, value in rows])


@pytest.mark.parametrize("pack", [gzip.compress, bytes])
def test_a_pipe_is_read_packed_or_not(folder: Path, pack: Callable[[bytes], bytes]) -> None:
    path = folder / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=[pack(b"timestamp,flow\n0,1\n")])
    writer.start()
    assert read_csv([path]).values.tolist() == [[1]]
    writer.join()
