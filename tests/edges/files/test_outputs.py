import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stream_vae.core.readings import ReadingBatch
from stream_vae.core.verdicts import Verdict, VerdictBatch
from stream_vae.edges.files.outputs import AlertsWriter, ScoresWriter, whole_file
from stream_vae.errors import ConfigError, ShapeError
from stream_vae.wire.alerts import decode_alert

EVENT = decode_alert((Path(__file__).parents[2] / "golden" / "alert_v1.json").read_bytes())
NAN = float("nan")


def make_readings(series: list[str], times: list[int]) -> ReadingBatch:
    n = len(series)
    return ReadingBatch(
        topic="water.csv",
        partitions=np.zeros(n, dtype=np.int32),
        offsets=np.arange(n, dtype=np.int64),
        series=series,
        times=np.array(times, dtype=np.int64),
        arrivals=np.array(times, dtype=np.int64),
        values=np.zeros((n, 3)),
    )


def make_verdicts(verdicts: list[Verdict], scores: list[float]) -> VerdictBatch:
    score = np.array(scores)
    return VerdictBatch(
        verdict=np.array(verdicts, dtype=np.int8),
        score=score,
        threshold=np.where(np.isnan(score), NAN, 3.25),
        p_value=np.where(np.isnan(score), NAN, 1e-12),
    )


def test_scores_are_one_row_a_reading_in_the_order_given(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    with whole_file(path) as file:
        writer = ScoresWriter(file)
        writer.write(
            make_readings(["b", 'a,"x"'], [1_500_000_000, 0]),
            make_verdicts([Verdict.ANOMALOUS, Verdict.WARMING_UP], [9.1, NAN]),
            np.array([19.5, NAN]),
        )
        writer.write(make_readings([], []), make_verdicts([], []), np.empty(0))
        writer.write(
            make_readings(["c", "c"], [10**9, 2 * 10**9]),
            make_verdicts([Verdict.UNSCORABLE, Verdict.NORMAL], [NAN, 0.1 + 0.2]),
            np.array([NAN, 0.5]),
        )
    assert path.read_text(encoding="utf-8") == (
        "series,timestamp,score,threshold,p_value,verdict,deviation\n"
        "b,1970-01-01T00:00:01.500Z,9.1,3.25,1e-12,ANOMALOUS,19.5\n"
        '"a,""x""",1970-01-01T00:00:00Z,,,,WARMING_UP,\n'
        "c,1970-01-01T00:00:01Z,,,,UNSCORABLE,\n"
        "c,1970-01-01T00:00:02Z,0.30000000000000004,3.25,1e-12,NORMAL,0.5\n"
    )


def test_readings_and_verdicts_that_do_not_match_are_a_bug(tmp_path: Path) -> None:
    with (
        pytest.raises(ShapeError, match=r"found \(1, 0, 0\)"),
        whole_file(tmp_path / "x") as file,
    ):
        ScoresWriter(file).write(make_readings(["a"], [0]), make_verdicts([], []), np.empty(0))


def test_alerts_are_one_json_object_a_line(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    second = replace(EVENT, sequence=2, summary="line\nbreak")
    with whole_file(path) as file:
        writer = AlertsWriter(file)
        writer.write(EVENT)
        writer.write(second)
    lines = path.read_bytes().splitlines()
    assert [decode_alert(line) for line in lines] == [EVENT, second]
    assert json.loads(lines[0])["sequence"] == 1


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "scores.csv"
    with whole_file(path) as file:
        file.write("half")
        file.flush()
        assert not path.exists()
    assert path.read_text(encoding="utf-8") == "half"


def test_a_failed_command_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("old", encoding="utf-8")

    def fail_halfway() -> None:
        with whole_file(path) as file:
            file.write("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_halfway()
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_lies_under_a_temporary_name_is_never_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names are drawn by chance; a link at one that was guessed nevertheless is not followed."""
    names: list[str] = []
    for _ in range(2):
        with whole_file(tmp_path / "scores.csv") as file:
            names.append(file.name)
    assert names[0] != names[1]
    victim = tmp_path / "victim"
    victim.write_text("kept", encoding="utf-8")
    monkeypatch.setattr("secrets.token_hex", lambda _: "guessed")
    (tmp_path / ".scores.csv.guessed.partial").symlink_to(victim)
    with (
        pytest.raises(ConfigError, match="exists"),
        whole_file(tmp_path / "scores.csv") as file,
    ):
        file.write("lost")
    assert victim.read_text(encoding="utf-8") == "kept"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target.csv", tmp_path / "link.csv"
    link.symlink_to(target)
    with whole_file(link) as file:
        file.write("new")
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8") == "new"


def test_devices_are_written_to_and_never_replaced() -> None:
    device = Path("/dev/null")
    with whole_file(device) as file:
        file.write("gone")
    assert device.is_char_device()


def test_a_place_that_cannot_be_written_is_the_operators_to_mend(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(ConfigError, match="cannot be written"),
        whole_file(tmp_path / "file" / "scores.csv"),
    ):
        pytest.fail("the file must not have been opened")
