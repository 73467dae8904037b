"""Style, types and the walls between rooms hold: plain `pytest` is the whole gate."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.limits import slowness

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(sys.executable).parent

CHECKS = {
    "ruff check": [sys.executable, "-m", "ruff", "check", "."],
    "ruff format": [sys.executable, "-m", "ruff", "format", "--check", "."],
    "mypy": [sys.executable, "-m", "mypy"],
    "import contracts": [str(SCRIPTS / "lint-imports")],
}

SLOW = {"mypy": pytest.mark.slow}


@pytest.mark.parametrize("name", [pytest.param(n, marks=SLOW.get(n, ())) for n in CHECKS])
def test_the_source_passes(name: str) -> None:
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200"}
    done = subprocess.run(
        CHECKS[name],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=280 * slowness(),
        check=False,
    )
    if done.returncode != 0:
        pytest.fail(f"{name} says:\n{done.stdout}", pytrace=False)
