"""Programs of Debian's packages, unpacked into the user's cache, or installed if they must be."""

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


def installed_tool(program: str, package: str) -> Path:
    """Return a program of a package that needs many others: installed, in CI, if it is not there.

    Raises:
        ToolMissingError: If there is none.
    """
    found = shutil.which(program)
    if found is None and os.environ.get("CI") and os.geteuid() == 0 and shutil.which("apt-get"):
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "-o"]
        install += ["DPkg::Lock::Timeout=120", package]
        if _run(install, Path("/"), 300).returncode:  # there may be no lists yet
            _run(["apt-get", "update", "-q"], Path("/"), 120)
            done = _run(install, Path("/"), 300)
            if done.returncode:
                raise ToolMissingError(f"apt-get install {package}: {done.stderr.strip()}")
        found = shutil.which(program)
    if found is None:
        raise ToolMissingError(f"{program}: not on the path (apt-get install {package})")
    return Path(found)


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


def _run(
    command: list[str], folder: Path, timeout_s: float = 120.0
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
