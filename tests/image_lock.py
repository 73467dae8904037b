"""The image's dependencies, pinned and hashed; `python -m tests.image_lock PYTHON` writes them.

PYTHON is an interpreter of the image's version, with a recent pip, on a machine of the image's kind
(x86-64, glibc 2.36): pip resolves for that one, and the hashes are of the files that it would
install there. torch and the libraries of CUDA are in a file of their own, which a build with
another index of torch leaves out.
"""

import argparse
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "deploy" / "requirements.txt"
TORCH_LOCK = ROOT / "deploy" / "requirements-torch.txt"

_OF_CUDA = re.compile(r"torch|triton|(nvidia|cuda)[-_].*")
_HEAD = "# Written by `python -m tests.image_lock PYTHON`; see tests/image_lock.py.\n"


def wanted() -> list[str]:
    """Return what the product needs to be built and run, as `pyproject.toml` has it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return [*project["project"]["dependencies"], *project["build-system"]["requires"]]


def lines(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield name and locked requirement of each package that pip would install."""
    for one in report["install"]:
        name = one["metadata"]["name"].lower().replace("_", "-")
        digest = one["download_info"]["archive_info"]["hashes"]["sha256"]
        yield name, f"{name}=={one['metadata']['version']} --hash=sha256:{digest}"


def main() -> int:
    """Ask pip, and write both files."""
    parser = argparse.ArgumentParser(prog="python -m tests.image_lock", description=__doc__)
    parser.add_argument("python", help="an interpreter of the image's version")
    options = ["--dry-run", "--ignore-installed", "--only-binary", ":all:", "--report", "-", "-q"]
    command = [parser.parse_args().python, "-m", "pip", "install", *options, *wanted()]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    found = sorted(lines(json.loads(done.stdout)))
    for file, is_of_cuda in ((LOCK, False), (TORCH_LOCK, True)):
        chosen = [line for name, line in found if bool(_OF_CUDA.fullmatch(name)) == is_of_cuda]
        file.write_text(_HEAD + "\n".join(chosen) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
