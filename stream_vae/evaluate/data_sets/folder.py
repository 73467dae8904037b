"""What a loader needs of the folder that holds a data set."""

import io
import re
from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stream_vae.errors import ConfigError, InputFileError


class DataFolder(Protocol):
    """The files of a folder; a file compressed as NAME.gz is seen as NAME."""

    @property
    def place(self) -> str:
        """Return where it is, for messages."""
        ...

    def names(self) -> list[str]:
        """Return the files' paths within the folder, `/` between parts, sorted."""
        ...

    def read(self, name: str) -> bytes:
        """Return a file's content, unpacked.

        Raises:
            InputFileError: If it cannot be read.
        """
        ...


def find_files(folder: DataFolder, pattern: str, *, layout: str) -> dict[str, str]:
    """Return the files whose whole path matches, by the pattern's first group, in natural order.

    Args:
        folder: Where to look.
        pattern: A regular expression with one group, which names the part of the data set.
        layout: The published layout, for the message.

    Raises:
        ConfigError: If there is none.
    """
    matches = [(re.fullmatch(pattern, name), name) for name in folder.names()]
    found = {match[1]: name for match, name in matches if match}
    if not found:
        raise ConfigError(f"{folder.place}: found no file like {pattern}, expected {layout}")
    return dict(sorted(found.items(), key=lambda item: _natural(item[0])))


def counterpart(found: Mapping[str, str], part: str, folder: DataFolder, expected: str) -> str:
    """Return the file of the same part of the data set.

    Raises:
        ConfigError: If it is missing.
    """
    if part not in found:
        raise ConfigError(f"{folder.place}: found nothing for {part!r}, expected {expected}")
    return found[part]


def read_numbers(folder: DataFolder, name: str, separator: str | None = ",") -> NDArray[np.float64]:
    """Return (N, F) numbers of a text file without a header.

    Args:
        folder: Where it is.
        name: Its path there.
        separator: Between the numbers of a line; None: any blanks.

    Raises:
        InputFileError: If a line is not numbers, or not as many as in the first.
    """
    rows: list[list[float]] = []
    lines = read_text(folder, name).splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = [float(cell) for cell in line.split(separator)]
        except ValueError as exc:
            raise InputFileError(f"{folder.place}/{name}, line {number}: {exc}") from exc
        if rows and len(row) != len(rows[0]):
            raise InputFileError(
                f"{folder.place}/{name}, line {number}: found {len(row)} numbers, expected "
                f"{len(rows[0])} as in the first line"
            )
        rows.append(row)
    if not rows:
        raise InputFileError(f"{folder.place}/{name}: found no line, expected numbers")
    return np.array(rows)


def read_text(folder: DataFolder, name: str) -> str:
    """Return a file's text.

    Raises:
        InputFileError: If it is not UTF-8.
    """
    try:
        return folder.read(name).decode()
    except UnicodeDecodeError as exc:
        raise InputFileError(f"{folder.place}/{name}: not UTF-8 text") from exc


def read_array(folder: DataFolder, name: str) -> NDArray[np.float64]:
    """Return the array of a `.npy` file.

    Raises:
        InputFileError: If it holds no array of numbers.
    """
    try:
        found = np.load(io.BytesIO(folder.read(name)), allow_pickle=False)
        return np.asarray(found, np.float64)
    except (ValueError, EOFError) as exc:
        raise InputFileError(f"{folder.place}/{name}: not an array of numbers: {exc}") from exc


def check_labels(
    folder: DataFolder, name: str, labels: NDArray[np.float64], rows: int
) -> NDArray[np.bool_]:
    """Return (N,) labels, nonzero = anomalous.

    Raises:
        InputFileError: If there is not one for each row.
    """
    if labels.shape != (rows,):
        raise InputFileError(f"{folder.place}/{name}: labels {labels.shape}, expected ({rows},)")
    return labels > 0


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a sort key in which `run2` comes before `run10`."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
