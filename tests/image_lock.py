"""The image's dependencies, pinned and hashed; `python -m tests.image_lock PYTHON` writes them.

PYTHON is an interpreter of the image's version, with a recent pip, on a machine of the image's kind
(x86-64, glibc 2.36): pip resolves for that one, and the hashes are of the files that it would
install there. torch and the libraries of CUDA are in a file of their own, which a build with
another index of torch leaves out; so is what lists the parts of the image, which it does not keep.
"""

import argparse
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "deploy" / "requirements.txt"
TORCH_LOCK = ROOT / "deploy" / "requirements-torch.txt"
SBOM_LOCK = ROOT / "deploy" / "requirements-sbom.txt"
EXTRAS = ("registry", "store")

_OF_CUDA = re.compile(r"torch|triton|(nvidia|cuda)[-_].*")
_HEAD = "# Written by `python -m tests.image_lock PYTHON`; see tests/image_lock.py.\n"


def wanted() -> list[str]:
    """Return what the product needs to be built and run, as `pyproject.toml` has it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    return [
        *project["project"]["dependencies"],
        *(each for name in EXTRAS for each in extras[name]),
        *project["build-system"]["requires"],
    ]


def lines(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield name and locked requirement of each package that pip would install."""
    for one in report["install"]:
        name = one["metadata"]["name"].lower().replace("_", "-")
        digest = one["download_info"]["archive_info"]["hashes"]["sha256"]
        yield name, f"{name}=={one['metadata']['version']} --hash=sha256:{digest}"


def resolve(python: str, requirements: Sequence[str]) -> list[tuple[str, str]]:
    """Return name and locked requirement of all that pip would install, by name."""
    options = ["--dry-run", "--ignore-installed", "--only-binary", ":all:", "--report", "-", "-q"]
    command = [python, "-m", "pip", "install", *options, *requirements]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return sorted(lines(json.loads(done.stdout)))


def main() -> int:
    """Ask pip, and write the files."""
    parser = argparse.ArgumentParser(prog="python -m tests.image_lock", description=__doc__)
    parser.add_argument("python", help="an interpreter of the image's version")
    python = parser.parse_args().python
    found = resolve(python, wanted())
    of_cuda = [line for name, line in found if _OF_CUDA.fullmatch(name)]
    rest = [line for name, line in found if not _OF_CUDA.fullmatch(name)]
    sbom = [line for _, line in resolve(python, ["cyclonedx-bom"])]
    for file, locked in ((LOCK, rest), (TORCH_LOCK, of_cuda), (SBOM_LOCK, sbom)):
        file.write_text(_HEAD + "\n".join(locked) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
