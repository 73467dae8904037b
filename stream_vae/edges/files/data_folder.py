"""The folder of a data set."""

import gzip
import zlib
from pathlib import Path

from stream_vae.errors import ConfigError, InputFileError

_PACKED = ".gz"


class FileFolder:
    """The files of a folder and of the folders in it; NAME.gz is seen, unpacked, as NAME.

    Args:
        path: Of the folder.

    Raises:
        ConfigError: If there is none.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise ConfigError(f"--data-dir {path}: found no folder, expected one with the data set")
        self._path = path
        self._files = {
            found.relative_to(path).as_posix().removesuffix(_PACKED): found
            for found in sorted(path.rglob("*"))
            if found.is_file()
        }

    @property
    def place(self) -> str:
        """Return where it is, for messages."""
        return str(self._path)

    def names(self) -> list[str]:
        """Return the files' paths within the folder, `/` between parts, sorted."""
        return sorted(self._files)

    def read(self, name: str) -> bytes:
        """Return a file's content, unpacked.

        Raises:
            InputFileError: If it cannot be read.
        """
        file = self._files[name]
        try:
            content = file.read_bytes()
            return gzip.decompress(content) if file.suffix == _PACKED else content
        except (OSError, EOFError, zlib.error) as exc:
            raise InputFileError(f"{file}: cannot be read: {exc}") from exc
