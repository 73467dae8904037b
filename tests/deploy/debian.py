"""Programs of Debian's packages, unpacked into the user's cache, or installed if they must be."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

_LONGEST_S = 200.0


class ToolMissingError(Exception):
    """A program is neither on the path nor to be had; says why."""


def or_skip(find: Callable[[str, str], Path], program: str, package: str) -> Path:
    """Return a program; without it a test fails in CI, and is skipped elsewhere.

    Args:
        find: `debian_tool` or `installed_tool`.
        program: Its name.
        package: That has it.
    """
    try:
        return find(program, package)
    except ToolMissingError as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))


def debian_tool(program: str, package: str) -> Path:
    """Return a program of a package: the installed one, else one unpacked into the cache.

    Raises:
        ToolMissingError: If there is none.
    """
    installed = shutil.which(program)
    if installed:
        return Path(installed)
    home = _cache() / package
    if not home.exists():
        if not (shutil.which("apt-get") and shutil.which("dpkg")):
            raise ToolMissingError(f"{program}: not on the path, and there is no apt-get")
        with tempfile.TemporaryDirectory(dir=home.parent) as folder:
            _unpack(package, Path(folder))
            if not home.exists():  # nobody was faster
                (Path(folder) / "files").rename(home)
    found = home / "usr" / "bin" / program
    if not found.exists():
        raise ToolMissingError(f"{program}: not in the package {package}, unpacked in {home}")
    return found


def installed_tool(program: str, package: str) -> Path:
    """Return a program of a package that needs many others: installed, in CI, if it is not there.

    Raises:
        ToolMissingError: If there is none.
    """
    found = shutil.which(program)
    if found is None and os.environ.get("CI") and os.geteuid() == 0 and shutil.which("apt-get"):
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "-o"]
        install += ["DPkg::Lock::Timeout=120", package]
        done = _with_lists(install, Path("/"))
        if done.returncode:
            raise ToolMissingError(f"apt-get install {package}: {done.stderr.strip()}")
        found = shutil.which(program)
    if found is None:
        raise ToolMissingError(f"{program}: not on the path (apt-get install {package})")
    return Path(found)


def _unpack(package: str, folder: Path) -> None:
    done = _with_lists(["apt-get", "download", "-q", package], folder)
    archives = list(folder.glob("*.deb"))
    if done.returncode or not archives:
        raise ToolMissingError(f"apt-get download {package}: {done.stderr.strip()}")
    unpacked = _run(["dpkg", "-x", str(archives[0]), str(folder / "files")], folder)
    if unpacked.returncode:
        raise ToolMissingError(f"dpkg -x {archives[0].name}: {unpacked.stderr.strip()}")


def _with_lists(command: list[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run apt-get while no other test process does: two that fetch its lists would both fail."""
    with (_cache() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = _run(command, folder)
        if done.returncode:  # there may be no lists yet
            _run(["apt-get", "update", "-q"], folder)
            done = _run(command, folder)
        return done


def _cache() -> Path:
    user_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = user_cache / "stream-vae" / "debian"
    cache.mkdir(parents=True, exist_ok=True)
    return cache


def _run(command: list[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        capture_output=True,
        text=True,
        timeout=_LONGEST_S,
        check=False,
    )
