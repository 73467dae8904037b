"""Programs of Debian's packages, unpacked into the user's cache and never installed."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path


class ToolMissingError(Exception):
    """A program is neither on the path nor to be had; says why."""


def debian_tool(program: str, package: str) -> Path:
    """Return a program of a package: the installed one, else one unpacked into the cache.

    Raises:
        ToolMissingError: If there is none.
    """
    installed = shutil.which(program)
    if installed:
        return Path(installed)
    user_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = user_cache / "stream-vae" / "debian" / package
    if not home.exists():
        if not (shutil.which("apt-get") and shutil.which("dpkg")):
            raise ToolMissingError(f"{program}: not on the path, and there is no apt-get")
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent) as folder:
            _unpack(package, Path(folder))
            if not home.exists():  # nobody was faster
                (Path(folder) / "files").rename(home)
    found = home / "usr" / "bin" / program
    if not found.exists():
        raise ToolMissingError(f"{program}: not in the package {package}, unpacked in {home}")
    return found


def _unpack(package: str, folder: Path) -> None:
    fetch = ["apt-get", "download", "-q", package]
    done = _run(fetch, folder)
    if done.returncode:  # there may be no lists yet
        _run(["apt-get", "update", "-q"], folder)
        done = _run(fetch, folder)
    archives = list(folder.glob("*.deb"))
    if done.returncode or not archives:
        raise ToolMissingError(f"apt-get download {package}: {done.stderr.strip()}")
    unpacked = _run(["dpkg", "-x", str(archives[0]), str(folder / "files")], folder)
    if unpacked.returncode:
        raise ToolMissingError(f"dpkg -x {archives[0].name}: {unpacked.stderr.strip()}")


def _run(command: list[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
