"""Kinds of CSV columns: found, declared, known from a model."""

from pathlib import Path

import numpy as np
import pytest

from stream_vae.core.model_spec import Feature, FeatureKind
from stream_vae.edges.files.csv_features import propose_kind
from stream_vae.edges.files.csv_header import ColumnChoice
from stream_vae.edges.files.csv_readings import CHUNK_ROWS, CsvFiles, CsvReadings, read_csv
from stream_vae.edges.files.training_data import to_training_series
from stream_vae.errors import InputFileError

NAN = float("nan")


def write(folder: Path, cells: list[str], name: str = "a.csv", column: str = "x") -> Path:
    path = folder / name
    rows = (f'{n},"{cell}"' if cell else f"{n}," for n, cell in enumerate(cells))
    path.write_text("\n".join([f"timestamp,{column}", *rows]) + "\n")
    return path


def declared(kind: FeatureKind, *categories: str) -> ColumnChoice:
    return ColumnChoice(declared={"x": Feature(name="x", kind=kind, categories=categories)})


def column(readings: CsvReadings) -> list[float]:
    return [float(value) for value in readings.values[:, 0]]


def test_text_is_categorical_its_codes_in_the_order_of_the_text(tmp_path: Path) -> None:
    readings = read_csv([write(tmp_path, ["south", " north ", "", "NA", "south"])])
    [feature] = readings.features
    assert feature == Feature(name="x", kind="categorical", categories=("NA", "north", "south"))
    np.testing.assert_array_equal(column(readings), [2, 1, NAN, 0, 2])
    assert readings.missing_cells.tolist() == [1]


def test_categories_are_the_same_whatever_the_order_of_rows_chunks_and_files(
    tmp_path: Path,
) -> None:
    texts = ["b"] * CHUNK_ROWS + ["c", "a", "1"]
    one = read_csv([write(tmp_path, texts)])
    two = read_csv([write(tmp_path, texts[::-1], "b.csv"), write(tmp_path, ["a", "b"], "c.csv")])
    assert one.features == two.features
    assert one.features[0].categories == ("1", "a", "b", "c")
    assert column(one) == column(two)[: len(texts)][::-1]
    assert column(two)[len(texts) :] == [1, 2]


def test_true_and_false_alone_are_binary(tmp_path: Path) -> None:
    """Control: with a third text they are categories."""
    readings = read_csv([write(tmp_path, ["True", "false", "", "TRUE"])])
    assert readings.features == (Feature(name="x", kind="binary"),)
    np.testing.assert_array_equal(column(readings), [1, 0, NAN, 1])
    readings = read_csv([write(tmp_path, ["True", "false", "unknown"])])
    assert readings.features[0].categories == ("false", "true", "unknown")


def test_numbers_stay_numeric_whatever_they_look_like(tmp_path: Path) -> None:
    for cells in (["0", "1", "1"], ["3", "0", "7"], ["1.5", "", "NA"], ["", ""]):
        assert read_csv([write(tmp_path, cells)]).features == (Feature(name="x"),)


def test_a_column_that_is_empty_at_first_is_what_comes_later(tmp_path: Path) -> None:
    empty = [""] * CHUNK_ROWS
    readings = read_csv([write(tmp_path, [*empty, "north"])])
    assert readings.features[0].categories == ("north",)
    assert column(readings)[-1] == 0
    assert np.isnan(column(readings)[:-1]).all()
    assert read_csv([write(tmp_path, [*empty, "2"])]).features[0].kind == "numeric"


@pytest.mark.parametrize("cells", [["1", "2", "warm"], ["1"] * CHUNK_ROWS + ["warm"] * 9])
def test_a_text_among_numbers_is_refused_with_place_and_fitting_kind(
    tmp_path: Path, cells: list[str]
) -> None:
    path = write(tmp_path, cells)
    line = cells.index("warm") + 2
    told = rf'a\.csv, line {line}, column x: found "warm"; expected a number.*kind categorical'
    with pytest.raises(InputFileError, match=told):
        read_csv([path])
    as_text = read_csv([path], declared("categorical"))
    assert as_text.features[0].categories[-1] == "warm"


@pytest.mark.parametrize(
    ("kind", "cell", "told"),
    [
        ("count", "1.5", r"a whole number of 0 or more.*kind numeric would fit"),
        ("count", "-1", r"a whole number of 0 or more.*kind numeric would fit"),
        ("count", "many", r"expected a number.*kind categorical would fit"),
        ("binary", "2", r"0, 1, true or false.*kind count would fit"),
        ("binary", "0.5", r"0, 1, true or false.*kind numeric would fit"),
        ("binary", "inf", r"0, 1, true or false.*kind numeric would fit"),
        ("binary", "maybe", r"0, 1, true or false.*kind categorical would fit"),
        ("numeric", "north", r"expected a number.*kind categorical"),
    ],
)
def test_a_cell_of_another_kind_than_declared_is_refused_with_place_and_fitting_kind(
    tmp_path: Path, kind: FeatureKind, cell: str, told: str
) -> None:
    path = write(tmp_path, ["1", "0", "", cell])
    with pytest.raises(
        InputFileError, match=rf'a\.csv, line 5, column x: found "{cell}"; .*{told}'
    ):
        read_csv([path], declared(kind))


def test_declared_kinds_read_their_cells(tmp_path: Path) -> None:
    """Control for the refusals above."""
    counts = read_csv([write(tmp_path, ["3", "0.0", "1e3", "", "inf"])], declared("count"))
    np.testing.assert_array_equal(column(counts), [3, 0, 1000, NAN, NAN])
    assert counts.features == (Feature(name="x", kind="count"),)
    truths = read_csv([write(tmp_path, ["1", "False", "NA", "0.0"])], declared("binary"))
    np.testing.assert_array_equal(column(truths), [1, 0, NAN, 0])
    texts = read_csv([write(tmp_path, ["007", "7", "7.0"])], declared("categorical"))
    assert texts.features[0].categories == ("007", "7")
    assert column(texts) == [0, 1, 1]


def test_a_models_categories_are_kept_and_others_are_unseen(tmp_path: Path) -> None:
    choice = declared("categorical", "south", "north")
    path = write(tmp_path, ["north", "west", "", "south", "x" * 1000])
    readings = read_csv([path], choice)
    np.testing.assert_array_equal(column(readings), [1, 2, NAN, 0, 2])
    assert readings.features[0].categories == ("south", "north")
    [batch] = CsvFiles([path], choice).iter_batches()
    np.testing.assert_array_equal(batch.values, readings.values)


def test_more_categories_than_allowed_are_refused_with_advice(tmp_path: Path) -> None:
    """Control: as many as allowed are read."""
    path = write(tmp_path, ["a", "b", "a", "c"])
    told = r'line 5, column x: found "c", the 3\. category; expected at most 2.*--ignore.*hash'
    with pytest.raises(InputFileError, match=told):
        read_csv([path], ColumnChoice(max_categories=2))
    assert len(read_csv([path], ColumnChoice(max_categories=3)).features[0].categories) == 3
    with pytest.raises(InputFileError, match="at most 256 characters"):
        read_csv([write(tmp_path, ["y" * 257])])


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0, 1, NAN, 1], "binary"),
        ([0, 2, 1, NAN], "count"),
        ([0, 99, 3, 250], "count"),
        ([1, 1, 1], "numeric"),
        ([0, 1, 2], "numeric"),  # only rises
        ([1000, 900, 1100], "numeric"),
        ([0, 0.5, 0], "numeric"),
        ([-1, 3, 2], "numeric"),
        ([NAN], "numeric"),
    ],
)
def test_kinds_are_proposed_by_a_simple_rule(values: list[float], kind: FeatureKind) -> None:
    assert propose_kind([np.array(values)]) == kind


def test_a_total_that_starts_anew_with_each_series_is_no_count() -> None:
    totals = [np.array([0.0, 3.0, 5.0]), np.array([0.0, 1.0, 9.0])]
    assert propose_kind(totals) == "numeric"
    assert propose_kind([np.concatenate(totals)]) == "count", "control"


EVENTS = "city,income\nnorth,1\nsouth,2\n"


def test_events_need_no_timestamp_and_stand_a_step_apart_in_file_order(tmp_path: Path) -> None:
    """Control: rows in order of time need one."""
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    first.write_text(EVENTS)
    second.write_text(EVENTS)
    readings = read_csv([first, second], ColumnChoice(is_events=True))
    assert (readings.times // 10**6).tolist() == [0, 1, 2, 3]
    assert not readings.has_times
    series, report = to_training_series(readings)
    assert report.step_seconds == 0.001
    assert (report.duplicate_rows, report.missing_steps) == (0, 0)
    assert [len(one.times) for one in series] == [2, 2]
    with pytest.raises(InputFileError, match=r"no column timestamp.*window_length 1"):
        read_csv([first])


def test_events_may_have_their_timestamps_dropped(tmp_path: Path) -> None:
    path = write(tmp_path, ["1", "2"])
    dropped = ColumnChoice(is_events=True, drop=frozenset({"timestamp"}))
    assert read_csv([path], dropped).feature_names == ("x",)


def test_the_report_proposes_kinds_for_numeric_features_alone(tmp_path: Path) -> None:
    path = write(tmp_path, ["0", "1", "0"])
    _, report = to_training_series(read_csv([path]))
    assert report.proposed_kinds == {"x": "binary"}
    _, report = to_training_series(read_csv([path], declared("count")))
    assert report.proposed_kinds == {}
