"""Files as spreadsheets, displays and databases export them: read as they are, or by an option."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream_vae.commands.jobs.input_files import open_files
from stream_vae.commands.options import FileOptions
from stream_vae.core.model_spec import Feature
from stream_vae.edges.files.csv_header import ColumnChoice
from stream_vae.edges.files.csv_readings import CHUNK_ROWS, CsvReadings
from stream_vae.errors import ConfigError, InputFileError
from stream_vae.inputs.reading_format import ReadingFormat
from stream_vae.inputs.timestamps import format_times

NAN = float("nan")
DAY = "2025-03-04T"


def read(folder: Path, content: str | bytes, **options: Any) -> CsvReadings:
    path = folder / "pump-7.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    chosen = options.pop("features", None)
    choice = ColumnChoice(features=chosen, declared=options.pop("declared", {}))
    return open_files([path], choice, FileOptions(**options), ReadingFormat()).read()


EXCEL = "\ufeffZeit;flow;pressure\r\n04.03.2025 01:00;20,086;1.004,5\r\n04.03.2025 01:01;20,6;\r\n"
PANEL = (
    '"Time","flow {unit=""pump-7""}","pressure"\n'
    '"2025-03-04 01:00:00","20.1 L/s","4 bar"\n"2025-03-04 01:01:00","1,020.6 L/s",""\n'
)
PANDAS = (
    ",timestamp,flow,status\n0,2025-03-04 01:00:00,20.1,NORMAL\n1,2025-03-04 01:01:00,1,NORMAL\n"
)
PSQL = "timestamp,series,flow\n2025-03-04 01:00:00+00,a,20.1\n2025-03-04 01:01:00.5+00,b,\\N\n"
AMERICAN = "When\tflow\n3/4/2025 1:00 AM\t20.1\n3/4/2025 1:01 PM\t2\n"
APART = "Date,Time,flow\n2025-03-04,01:00,20.1\n2025-03-04,01:01,2\n"
TAGS = "time,host,dev,flow\n2025-03-04T01:00:00Z,gw,3,20.1\n2025-03-04T01:01:00Z,gw,4,2\n"


@pytest.mark.parametrize(
    ("content", "options", "features", "times", "values"),
    [
        (
            EXCEL,
            {"decimal": ",", "timestamp_column": "Zeit"},
            ("flow", "pressure"),
            ["01:00:00Z", "01:01:00Z"],
            [[20.086, 1004.5], [20.6, NAN]],
        ),
        (
            PANEL,
            {"units": True},
            ('flow {unit="pump-7"}', "pressure"),
            ["01:00:00Z", "01:01:00Z"],
            [[20.1, 4], [1020.6, NAN]],
        ),
        (
            "sep=|\nTime|flow\n2025-03-04T01:00:00+01:00|1\n",
            {},
            ("flow",),
            ["00:00:00Z"],
            [[1]],
        ),
        (PANDAS, {"ignore": ["status"]}, ("flow",), ["01:00:00Z", "01:01:00Z"], [[20.1], [1]]),
        (PANDAS, {"features": ("flow",)}, ("flow",), ["01:00:00Z", "01:01:00Z"], [[20.1], [1]]),
        (PSQL, {}, ("flow",), ["01:00:00Z", "01:01:00.500Z"], [[20.1], [NAN]]),
        (
            AMERICAN,
            {"timestamp_column": "When", "timestamp_format": "%m/%d/%Y %I:%M %p"},
            ("flow",),
            ["01:00:00Z", "13:01:00Z"],
            [[20.1], [2]],
        ),
        (
            APART,
            {"timestamp_column": "{Date} {Time}", "timestamp_zone": "Europe/Berlin"},
            ("flow",),
            ["00:00:00Z", "00:01:00Z"],
            [[20.1], [2]],
        ),
    ],
)
def test_exports_are_read(
    tmp_path: Path,
    content: str,
    options: dict[str, Any],
    features: tuple[str, ...],
    times: list[str],
    values: list[list[float]],
) -> None:
    readings = read(tmp_path, content, **options)
    assert readings.feature_names == features
    assert format_times(readings.times) == [DAY + time for time in times]
    np.testing.assert_array_equal(readings.values, values)


@pytest.mark.parametrize(
    ("encoding", "told"),
    [
        ("utf-8-sig", None),
        ("utf-16", None),
        ("utf-16-le", "utf-16-le"),
        ("cp1252", "cp1252"),
    ],
)
def test_text_of_other_encodings_is_read(tmp_path: Path, encoding: str, told: str | None) -> None:
    text = "timestamp;Zufluß\n2025-03-04T01:00:00Z;1\n"
    readings = read(tmp_path, text.encode(encoding), encoding=told)
    assert readings.feature_names == ("Zufluß",)
    assert any("semicolon" in note for note in readings.notes)


def test_series_may_stand_in_several_columns(tmp_path: Path) -> None:
    readings = read(tmp_path, TAGS, series_column="{host}/{dev}")
    assert readings.series == ["gw/3", "gw/4"]
    assert readings.feature_names == ("flow",)
    assert read(tmp_path, TAGS, series_column="dev", ignore=["host"]).series == ["3", "4"]


@pytest.mark.parametrize(
    ("content", "options", "told"),
    [
        (EXCEL, {"timestamp_column": "Zeit"}, '"20,086".*--decimal'),
        (PANEL, {}, '"20.1 L/s".*--units'),
        (PANEL.replace("1,020.6 L/s", "1.02 m3/s"), {"units": True}, 'unit "m3/s" after "L/s"'),
        (AMERICAN, {}, "no column timestamp.*--timestamp-column.*--delimiter"),
        (AMERICAN, {"timestamp_column": "When"}, "3/4/2025 1:00 AM.*--timestamp-format"),
        (APART, {}, r"--timestamp-column '\{Date\} \{Time\}'"),
        (TAGS, {"series_column": "{host}/{device}"}, "no column 'device'.*--series-column"),
        ("timestamp,flow\n0,1\n1,2\n2,kaputt\n", {}, '"kaputt".*--missing-word "kaputt"'),
        ("timestamp,flow\n20250304,1\n20250305,2\n", {}, "--timestamp-format tells.*%Y%m%d"),
        ("timestamp,Zufluß\n0,1\n".encode("cp1252"), {}, "not UTF-8.*--encoding cp1252"),
        ("timestamp,a\n0,1\n".encode("utf-16-le"), {}, "--encoding utf-16-le"),
        ("time,metric,value\n0,flow,1\n", {}, "--name-column metric --value-column value"),
        ("time,metric,x\n0,flow,1\n", {"name_column": "metric"}, "--value-column for its value"),
    ],
)
def test_what_is_not_read_names_the_option_that_reads_it(
    tmp_path: Path, content: str | bytes, options: dict[str, Any], told: str
) -> None:
    with pytest.raises(InputFileError, match=told):
        read(tmp_path, content, **options)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"decimal": "x"}, "--decimal"),
        ({"delimiter": ";;"}, "--delimiter"),
        ({"encoding": "latin-x"}, "--encoding"),
        ({"timestamp_zone": "Mars/Olympus"}, "--timestamp-zone"),
        ({"timestamp_format": "iso"}, "--timestamp-format"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(
    tmp_path: Path, options: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        read(tmp_path, TAGS, **options)


LONG = (
    "time,unit,name,value\n0,a,flow,1\n0,a,running,true\n0,b,flow,3\n60,a,flow,\n60,a,flow,4\n"
    "0,a,flow,5\n60,a,running,false\n"
)


def test_the_long_form_is_one_reading_a_series_and_time(tmp_path: Path) -> None:
    """A later value replaces an earlier one, a missing one replaces nothing."""
    options = {"series_column": "unit", "name_column": "name", "value_column": "value"}
    readings = read(tmp_path, LONG, **options)
    assert readings.features == (Feature(name="flow"), Feature(name="running", kind="binary"))
    assert list(zip(readings.series, (readings.times // 10**9).tolist(), strict=True)) == [
        ("a", 0),
        ("b", 0),
        ("a", 60),
    ]
    np.testing.assert_array_equal(readings.values, [[5, 1], [3, NAN], [4, 0]])
    some = read(tmp_path, LONG, **options, features=("flow",))
    assert some.values[:, 0].tolist() == [5, 3, 4]
    assert some.ignored_columns == ("running",)
    with pytest.raises(InputFileError, match="no row of a feature"):
        read(tmp_path, LONG, **options, features=("speed",))


def test_the_long_form_is_whole_whatever_its_order(tmp_path: Path) -> None:
    """Databases give one feature after the other: longer than a chunk."""
    n = CHUNK_ROWS + 5
    rows = [f"{t},{name},{t + at}" for at, name in enumerate("xy") for t in range(n)]
    readings = read(
        tmp_path, "\n".join(["time,name,value", *rows]), name_column="name", value_column="value"
    )
    assert (readings.times // 10**9).tolist() == list(range(n))
    assert readings.values.tolist() == [[t, t + 1] for t in range(n)]


ANNOTATED = """#group,false,false,true,false,false,true,true
#datatype,string,long,dateTime:RFC3339,dateTime:RFC3339,double,string,string
#default,_result,,,,,,pump-7
,result,table,_start,_time,_value,_field,unit
,,0,2025-03-04T00:00:00Z,2025-03-04T01:00:00Z,20.1,flow,
,,0,2025-03-04T00:00:00Z,2025-03-04T01:01:00Z,20.6,flow,

#group,false,false,true,false,false,true,true
#datatype,string,long,dateTime:RFC3339,dateTime:RFC3339,long,string,string
#default,_result,,,,,,
,result,table,_start,_time,_value,_field,unit
,,1,2025-03-04T00:00:00Z,2025-03-04T01:00:00Z,4,pressure,pump-7

"""
PIVOTED = """,result,table,_time,flow,unit
,,0,2025-03-04T01:00:00Z,20.1,pump-7

,result,table,_time,flow,unit
,,1,2025-03-04T01:00:00Z,3,pump-8
"""


def test_annotated_tables_are_one_history(tmp_path: Path) -> None:
    readings = read(tmp_path, ANNOTATED)
    assert readings.feature_names == ("flow", "pressure")
    assert readings.series == ["pump-7", "pump-7"]
    np.testing.assert_array_equal(readings.values, [[20.1, 4], [20.6, NAN]])
    assert any("series from 'unit'" in note for note in readings.notes)
    pivoted = read(tmp_path, PIVOTED, series_column="unit")
    assert pivoted.series == ["pump-7", "pump-8"]
    assert pivoted.values.tolist() == [[20.1], [3]]
    with pytest.raises(InputFileError, match="holds the error of a query"):
        read(tmp_path, "#datatype,string,long\n#group,true,true\n,error,reference\n,died,9\n")


NIGHT = [f"2024-10-27 0{h}:{m:02}:00" for h in (1, 2, 2, 3) for m in range(0, 60, 20)]


@pytest.mark.parametrize("step", [1, 3])
def test_an_hour_that_stands_there_twice_is_told_apart_by_the_order_of_rows(
    tmp_path: Path, step: int
) -> None:
    """Of series whose rows alternate, too, and of one reading an hour."""
    rows = [f"{at},{key},1" for at in NIGHT[::step] for key in "ab"]
    content = "\n".join(["timestamp,series,flow", *rows])
    readings = read(tmp_path, content, timestamp_zone="Europe/Berlin")
    gaps = np.diff(readings.times[::2] // (60 * 10**9))
    assert set(gaps.tolist()) == {20 * step}
    assert readings.times[::2].tolist() == readings.times[1::2].tolist()
    assert any("hours that stand there twice" in note for note in readings.notes)


def test_an_hour_that_stands_there_twice_without_a_zone_is_told(tmp_path: Path) -> None:
    """Control: rows that are merely unsorted, or of another series, are not said to be that."""
    rows = [f"2024-10-27 0{h}:{m:02},1" for h in (1, 2, 2, 3) for m in range(60)]
    readings = read(tmp_path, "\n".join(["timestamp,flow", *rows]))
    assert any("line 122: an hour stands there twice" in note for note in readings.notes)
    apart = [f"{row},{'a' if n < 120 else 'b'}" for n, row in enumerate(rows)]
    assert not read(tmp_path, "\n".join(["timestamp,flow,series", *apart])).notes
    rows[100], rows[90] = rows[90], rows[100]
    assert not read(tmp_path, "\n".join(["timestamp,flow", *rows[:120]])).notes


def test_an_hour_that_never_was_is_told(tmp_path: Path) -> None:
    content = "timestamp,flow\n2025-03-30 02:30,1\n2025-03-30 03:30,2\n"
    readings = read(tmp_path, content, timestamp_zone="Europe/Berlin")
    assert any("1 rows of an hour that never was" in note for note in readings.notes)


def test_disorder_within_a_repeated_hour_is_no_second_hour(tmp_path: Path) -> None:
    minutes = list(range(60))
    for at in (10, 20, 30):
        minutes[at], minutes[at + 1] = minutes[at + 1], minutes[at]
    rows = [f"2024-10-27 02:{m:02},1" for m in minutes]
    once = read(tmp_path, "\n".join(["timestamp,flow", *rows]), timestamp_zone="Europe/Berlin")
    assert int(np.ptp(once.times)) == 59 * 60 * 10**9
    twice = read(
        tmp_path, "\n".join(["timestamp,flow", *rows, *rows]), timestamp_zone="Europe/Berlin"
    )
    assert int(np.ptp(twice.times)) == 119 * 60 * 10**9
    assert len(set(twice.times.tolist())) == 120
