"""Parquet files: read as a CSV of the same values."""

import importlib.util
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from stream_vae.commands.jobs.input_files import open_files
from stream_vae.commands.options import FileOptions
from stream_vae.edges.files.csv_header import ColumnChoice
from stream_vae.edges.files.csv_readings import CsvReadings
from stream_vae.errors import ConfigError, InputFileError
from stream_vae.inputs.reading_format import ReadingFormat
from stream_vae.inputs.timestamps import format_times

IS_INSTALLED = importlib.util.find_spec("pyarrow") is not None
needs_pyarrow = pytest.mark.skipif(not IS_INSTALLED, reason="the extra parquet is not installed")


def read(path: Path, **options: str) -> CsvReadings:
    told = FileOptions(**options)  # type: ignore[arg-type]  # names and text
    return open_files([path], ColumnChoice(), told, ReadingFormat()).read()


@pytest.mark.skipif(IS_INSTALLED, reason="the extra parquet is installed")
def test_without_the_extra_the_way_to_it_is_told(tmp_path: Path) -> None:
    path = tmp_path / "pump-7.parquet"
    path.write_bytes(b"PAR1")
    with pytest.raises(ConfigError, match=r"stream-vae\[parquet\]"):
        read(path)


@needs_pyarrow
def test_columns_are_read_as_those_of_a_csv(tmp_path: Path) -> None:
    import pyarrow as pa  # noqa: PLC0415 - an extra
    import pyarrow.parquet as pq  # noqa: PLC0415

    start = datetime(2025, 3, 4, 1, tzinfo=UTC)
    times = [start + timedelta(minutes=n, microseconds=n) for n in range(3)]
    columns = {
        "Time": pa.array(times, pa.timestamp("us", tz="UTC")),
        "flow": pa.array([1.5, None, float("nan")]),
        "on": pa.array([True, False, None]),
        "parts": pa.array([[1], [2], [3]]),
    }
    path = tmp_path / "pump-7.parquet"
    pq.write_table(pa.table(columns), path)
    readings = read(path)
    assert readings.series == ["pump-7"] * 3
    assert format_times(readings.times)[1] == "2025-03-04T01:01:00.000001Z"
    assert [feature.kind for feature in readings.features] == ["numeric", "binary"]
    assert readings.missing_cells.tolist() == [2, 1]
    assert any("parts" in note for note in readings.notes)
    wall = pa.table({**columns, "Time": pa.array([one.replace(tzinfo=None) for one in times])})
    pq.write_table(wall, path)
    local = read(path, timestamp_zone="Europe/Berlin")
    assert (readings.times - local.times).tolist() == [3600 * 10**9] * 3
    path.write_bytes(b"PAR1 no more")
    with pytest.raises(InputFileError, match="cannot be read as Parquet"):
        read(path)
    with pytest.raises(ConfigError, match="--delimiter"):
        read(path, delimiter=";")
