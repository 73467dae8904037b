"""The fast suite with the oldest versions that are allowed: `python -m tests.lowest_versions DIR`.

Makes a new environment in DIR, in which every dependency has the lower bound that `pyproject.toml`
names for it, and runs `pytest -m fast` there; exit code 0: it passes. Dependencies of dependencies
are as the resolver finds them. The default build of torch needs some 6 GB of disk.
"""

import argparse
import re
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[1]

_BOUNDED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?>=([0-9][0-9A-Za-z.]*)$")


def constraints(requirements: Iterable[str]) -> list[str]:
    """Return pip constraints that hold each bounded requirement at its lower bound.

    >>> constraints(["numpy>=2.1", "pyjwt[crypto]>=2.10", "types-PyYAML"])
    ['numpy==2.1', 'pyjwt==2.10']
    """
    found = (_BOUNDED.match(requirement) for requirement in requirements)
    return [f"{match[1]}=={match[2]}" for match in found if match is not None]


def declared() -> list[str]:
    """Return what the product and its tests need, as `pyproject.toml` has it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [*project["dependencies"], *project["optional-dependencies"]["test"]]


def main() -> int:
    """Make the environment, if it is not there yet, and run the suite."""
    parser = argparse.ArgumentParser(prog="python -m tests.lowest_versions", description=__doc__)
    parser.add_argument("folder", type=Path, help="for the environment; reused if it is there")
    folder = parser.parse_args().folder.absolute()
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    file = folder / "constraints.txt"
    file.write_text("\n".join(constraints(declared())) + "\n")
    steps = (
        ["-m", "pip", "install", "-e", ".[test]", "-c", str(file)],
        ["-m", "pytest", "-m", "fast"],
    )
    for step in steps:
        code = subprocess.run([python, *step], cwd=ROOT, check=False).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
