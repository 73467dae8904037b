"""Rows of a CSV file with their first line, each bounded in length."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path

from stream_vae.core.excerpts import printable
from stream_vae.errors import InputFileError

MAX_ROW_CHARACTERS = 1_048_576
"""Of one row, decompressed. A compressed file can hold a line of gigabytes in kilobytes."""


def read_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield each row with its first line; all errors of a file are translated.

    Args:
        path: A name that ends in `.gz` is decompressed.

    Raises:
        InputFileError: With file, and line where there is one.
    """
    line = 0
    try:
        with _open(path) as text:
            lines = _RowLines(text)
            reader = csv.reader(lines, strict=True)
            for cells in reader:
                yield line + 1, cells
                line = reader.line_num
                lines.start_row()
    except csv.Error as exc:
        raise InputFileError(
            f"{path}, line {line + 1}: {printable(str(exc))}; expected comma-separated values"
        ) from exc
    except UnicodeDecodeError:
        raise InputFileError(_not_utf8(path)) from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as exc:
        raise InputFileError(f"{path}: not a whole gzip file ({exc})") from exc
    except OSError as exc:
        raise InputFileError(f"{path}: cannot be read: {exc.strerror or exc}") from exc


class _RowLines:
    """The lines of a text; the CSV reader itself would buffer a row of any length."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._readline = text.readline
        self._left = MAX_ROW_CHARACTERS

    def start_row(self) -> None:
        """Reset the count: the lines so far were a row."""
        self._left = MAX_ROW_CHARACTERS

    def __iter__(self) -> "_RowLines":
        return self

    def __next__(self) -> str:
        line = self._readline(self._left + 1)
        self._left -= len(line)
        if not line:
            raise StopIteration
        if self._left < 0:
            raise csv.Error(f"a row of more than {MAX_ROW_CHARACTERS:,} characters")
        return line


def _open(path: Path) -> io.TextIOWrapper:
    # utf-8-sig drops the byte order mark that spreadsheets put first.
    return io.TextIOWrapper(_open_binary(path), encoding="utf-8-sig", newline="")


def _open_binary(path: Path) -> io.BufferedReader | gzip.GzipFile:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")


def _not_utf8(path: Path) -> str:
    """Return the message with the exact line: the reader decodes far ahead of the rows."""
    # The first line that does not end within the limit may end within a character.
    with _open_binary(path) as binary:
        for number, line in enumerate(iter(lambda: binary.readline(MAX_ROW_CHARACTERS), b""), 1):
            try:
                line.decode()
            except UnicodeDecodeError as exc:
                found = f"byte 0x{line[exc.start]:02x}"
                return f"{path}, line {number}: {found} is not UTF-8; expected UTF-8 text"
    return f"{path}: not UTF-8; expected UTF-8 text"
