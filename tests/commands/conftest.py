"""The program, run in this process."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from stream_vae.cli import main


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str


RunProgram = Callable[..., Ran]


@pytest.fixture
def run_program(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> RunProgram:
    def run(*arguments: object) -> Ran:
        monkeypatch.setattr("sys.argv", ["stream-vae", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return Ran(code=int(ended.value.code or 0), out=printed.out, err=printed.err)

    return run


@pytest.fixture
def write_csv(tmp_path: Path) -> Callable[..., Path]:
    """Write two series of two sines, a minute apart; `spoil` lifts one's flow from row 150."""

    def write(name: str, n: int = 300, *, spoil: bool = False, seed: int = 3) -> Path:
        return write_readings(tmp_path / name, n, spoil=spoil, seed=seed)

    return write


def write_readings(path: Path, n: int = 300, *, spoil: bool = False, seed: int = 3) -> Path:
    """Write what `write_csv` does."""
    generator = np.random.default_rng(seed)
    lines = ["timestamp,series,flow,level"]
    for i in range(n):
        at = np.datetime64("2026-01-01T00:00:00") + np.timedelta64(i, "m")
        for series in ("pump-1", "pump-2"):
            flow, level = np.sin(i / 3 + np.arange(2)) + 0.1 * generator.normal(size=2)
            flow += 15 if spoil and series == "pump-1" and 150 <= i < 160 else 0
            lines.append(f"{at}Z,{series},{flow:.5f},{level:.5f}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="session")
def small_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Settings of a network that trains in a second or two."""
    path = tmp_path_factory.mktemp("settings") / "small.yaml"
    path.write_text(
        "model: {window_length: 8, hidden_size: 8, latent_size: 3}\n"
        "training: {epochs: 3, min_steps: 60, batch_size: 32, injected_faults: 0, device: cpu}\n"
        "worker: {device: cpu}\n"
    )
    return path


@pytest.fixture(scope="session")
def brief_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for tests that do not ask what was learnt: a few steps are enough."""
    path = tmp_path_factory.mktemp("settings") / "brief.yaml"
    path.write_text(
        "model: {window_length: 8, hidden_size: 8, latent_size: 3}\n"
        "training: {epochs: 1, min_steps: 2, max_steps: 2, batch_size: 32, device: cpu, "
        "injected_faults: 0}\n"
        "worker: {device: cpu}\n"
    )
    return path


@pytest.fixture(scope="session")
def trained_bundle(small_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of `write_csv`'s data, trained once by the program; not to be written to."""
    folder = tmp_path_factory.mktemp("trained")
    data = write_readings(folder / "normal.csv")
    arguments = ["train", "--input", str(data), "--bundle", str(folder / "bundle")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["stream-vae", *arguments, "--config", str(small_config)])
        with pytest.raises(SystemExit) as ended:
            main()
    assert not ended.value.code
    return folder / "bundle"
