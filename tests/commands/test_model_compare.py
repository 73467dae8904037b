"""`model compare` and `score --plot`."""

from collections.abc import Callable
from pathlib import Path

from tests.commands.conftest import RunProgram

WriteCsv = Callable[..., Path]


def test_a_bundle_compared_with_itself_differs_in_nothing(
    run_program: RunProgram, trained_bundle: Path, write_csv: WriteCsv
) -> None:
    data = write_csv("week.csv", spoil=True, seed=4)
    done = run_program("model", "compare", trained_bundle, trained_bundle, "--input", data)
    assert done.code == 0, done.err
    rows = {line.split("│")[1].strip(): line for line in done.out.splitlines() if "│" in line}
    assert "rank correlation 1.000" in rows["score"]
    cells = [cell.strip() for cell in rows["incidents in it alone"].split("│")[2:5]]
    assert cells[:2] == ["0", "0"]
    assert int(cells[2]) >= 1
    assert "pump-1" in done.out


def test_a_file_without_a_feature_of_either_model_is_refused(
    run_program: RunProgram, trained_bundle: Path, tmp_path: Path
) -> None:
    data = tmp_path / "other.csv"
    data.write_text("timestamp,flow\n2026-01-01T00:00:00Z,1\n")
    done = run_program("model", "compare", trained_bundle, trained_bundle, "--input", data)
    assert done.code == 2
    assert "level" in done.err
    assert str(data) in done.err
    assert f"bundle {trained_bundle}" in done.err


def test_score_draws_the_series_with_incidents_first(
    run_program: RunProgram, trained_bundle: Path, write_csv: WriteCsv, tmp_path: Path
) -> None:
    """Control: without --plot no picture is written, and scores are the same."""
    data, plots = write_csv("week.csv", spoil=True, seed=4), tmp_path / "plots"
    written = []
    for number, more in enumerate(((), ("--plot", plots))):
        output = tmp_path / f"{number}.csv"
        done = run_program(
            *("score", "--bundle", trained_bundle, "--input", data, "--output", output), *more
        )
        assert done.code == 0, done.err
        written.append(output.read_bytes())
        assert plots.exists() == bool(more)
    assert written[0] == written[1]
    assert sorted(path.name for path in plots.iterdir()) == [
        f"series-{number}-{kind}.png" for number in (1, 2) for kind in ("bands", "bars", "score")
    ]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in plots.iterdir())


def test_a_folder_for_pictures_that_cannot_be_made_is_told_at_once(
    run_program: RunProgram, trained_bundle: Path, write_csv: WriteCsv, tmp_path: Path
) -> None:
    done = run_program(
        *("score", "--bundle", trained_bundle, "--input", write_csv("week.csv")),
        *("--output", tmp_path / "s.csv", "--plot", "/dev/null/x"),
    )
    assert done.code == 2
    assert "--plot /dev/null/x" in done.err
    assert not (tmp_path / "s.csv").exists()
