"""`stream-vae benchmark`: the folder, the table, the rows."""

import gzip
import json
from pathlib import Path

import pytest

from stream_vae.commands.jobs.benchmark import benchmark_data
from stream_vae.edges.files.data_folder import FileFolder
from stream_vae.errors import ConfigError, InputFileError
from tests.evaluate.data_sets.layouts import LAYOUTS


def written(folder: Path, name: str, *, packed: bool = False) -> Path:
    for file, content in LAYOUTS[name]().items():
        path = folder / (f"{file}.gz" if packed else file)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content) if packed else content)
    return folder


@pytest.mark.slow
def test_the_table_and_the_rows_hold_model_and_baselines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path / "adbench_tabular", "adbench")
    benchmark_data("adbench", tmp_path, seeds=1, files=[], json_file=tmp_path / "rows.json")
    rows = json.loads((tmp_path / "rows.json").read_bytes())
    assert {"stream-vae", "PCA Q", "isolation forest"} <= {row["method"] for row in rows}
    for row in rows:
        assert row.keys() == {"data", "file", "method", "score", "seed", "metrics"}
        assert {"average_precision", "roc_auc", "best_f1"} <= row["metrics"].keys()
    assert "isolation forest" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "folder", "files", "says"),
    [
        ("mnist", ".", [], "expected one of smd"),
        ("smd", None, [], "--data-dir is missing"),
        ("smd", "absent", [], "found no folder"),
        ("smd", ".", [], "train/NAME.txt"),
        ("adbench", "there", ["other"], "--file 'other': not in the set"),
    ],
)
def test_a_mistake_is_named(
    tmp_path: Path, name: str, folder: str | None, files: list[str], says: str
) -> None:
    written(tmp_path / "there", "adbench")
    data_dir = None if folder is None else tmp_path / folder
    with pytest.raises(ConfigError, match=says):
        benchmark_data(name, data_dir, seeds=1, files=files, json_file=None)


def test_a_packed_file_reads_as_the_plain_one(tmp_path: Path) -> None:
    plain = FileFolder(written(tmp_path / "plain", "smd"))
    packed = FileFolder(written(tmp_path / "packed", "smd", packed=True))
    assert packed.names() == plain.names()
    assert all(packed.read(name) == plain.read(name) for name in plain.names())


def test_a_damaged_packed_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.txt.gz").write_bytes(b"no gzip")
    with pytest.raises(InputFileError, match=r"x\.txt\.gz"):
        FileFolder(tmp_path).read("x.txt")
