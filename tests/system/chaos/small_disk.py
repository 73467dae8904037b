"""A disk that can be filled up without harm to anything else: some memory, mounted as one."""

import os
import subprocess
from contextlib import suppress
from pathlib import Path

_SIZE_MIB = 2048
_RESERVE_BYTES = 64 * 1024
"""Left over at first, so that writes fail in their middle, not only at their beginning."""


class SmallDisk:
    """Needs the right to mount.

    Args:
        directory: Where it is mounted; made if it is missing.

    Raises:
        subprocess.CalledProcessError: If it cannot be mounted.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._ballast = directory / "ballast"
        directory.mkdir(parents=True, exist_ok=True)
        options = f"size={_SIZE_MIB}m"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", directory], check=True)

    def fill(self) -> None:
        """Leave next to no space; to be repeated while others free some."""
        found = os.statvfs(self._directory)
        free = found.f_bavail * found.f_frsize - _RESERVE_BYTES
        if free > 0:
            with self._ballast.open("ab") as file, suppress(OSError):
                os.posix_fallocate(file.fileno(), file.tell(), free)

    def free(self) -> None:
        """Give the space back."""
        self._ballast.unlink(missing_ok=True)

    def close(self) -> None:
        """Unmount it; what is on it is gone."""
        subprocess.run(["umount", "--lazy", self._directory], check=True)
