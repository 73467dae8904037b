"""Rows of a CSV file with their first line, each bounded in length."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stream_vae.core.excerpts import printable
from stream_vae.edges.files.csv_dialect import (
    HEAD_BYTES,
    CsvDialect,
    FoundDialect,
    find_dialect,
)
from stream_vae.edges.files.line_file import Binary, unpacked
from stream_vae.errors import InputFileError

MAX_ROW_CHARACTERS = 1_048_576
"""Of one row, decompressed. A compressed file can hold a line of gigabytes in kilobytes."""


class CsvRows:
    """Rows of one file.

    Args:
        path: Unpacked if it is gzip.
        told: What the operator tells of its form.
    """

    def __init__(self, path: Path, told: CsvDialect = CsvDialect()) -> None:  # noqa: B008 - frozen
        self._path = path
        self._told = told
        self.notes: tuple[str, ...] = ()
        """What was found of the file's form, where it is not the usual; once rows are read."""

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        """Yield each row with its first line; all errors of a file are translated.

        Raises:
            InputFileError: With file, and line where there is one.
        """
        line = 0
        dialect = None
        try:
            with _open_binary(self._path) as binary:
                head = binary.read(HEAD_BYTES)
                dialect = find_dialect(self._path, head, self._told)
                self.notes = dialect.notes
                text = io.TextIOWrapper(
                    io.BufferedReader(_Again(binary, head)), encoding=dialect.encoding, newline=""
                )
                line = dialect.n_skipped
                for _ in range(dialect.n_skipped):
                    text.readline(MAX_ROW_CHARACTERS)
                lines = _RowLines(text)
                reader = csv.reader(lines, strict=True, delimiter=dialect.delimiter)
                for cells in reader:
                    yield line + 1, cells
                    line = reader.line_num + dialect.n_skipped
                    lines.start_row()
        except csv.Error as exc:
            raise InputFileError(
                f"{self._path}, line {line + 1}: {printable(str(exc))}; expected comma-separated "
                "values, or the delimiter told: --delimiter"
            ) from exc
        except UnicodeError:
            raise InputFileError(_undecodable(self._path, dialect)) from None
        except (gzip.BadGzipFile, EOFError, zlib.error) as exc:
            raise InputFileError(f"{self._path}: not a whole gzip file ({exc})") from exc
        except OSError as exc:
            raise InputFileError(f"{self._path}: cannot be read: {exc.strerror or exc}") from exc


@contextmanager
def _open_binary(path: Path) -> Iterator[Binary]:
    with path.open("rb") as raw:
        yield unpacked(raw, path)


class _Again(io.RawIOBase):
    """A stream with its head put back: it may be of a pipe, which has no way back."""

    def __init__(self, rest: Binary, head: bytes) -> None:
        self._rest = rest
        self._head = head

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = self._head[: len(buffer)] or self._rest.read(len(buffer))
        self._head = self._head[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


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


def _undecodable(path: Path, dialect: FoundDialect | None) -> str:
    """Return the message, with the exact line of UTF-8: text is decoded far ahead of the rows."""
    if dialect is not None and dialect.encoding != "utf-8-sig":
        expected = "expected text of that encoding (--encoding for another)"
        return f"{path}: not {dialect.encoding}; {expected}"
    remedy = "expected UTF-8 text, or another encoding told: --encoding cp1252 (Windows), utf-16"
    # The first line that does not end within the limit may end within a character.
    with _open_binary(path) as binary:
        for number, line in enumerate(iter(lambda: binary.readline(MAX_ROW_CHARACTERS), b""), 1):
            try:
                line.decode()
            except UnicodeDecodeError as exc:
                found = f"byte 0x{line[exc.start]:02x}"
                return f"{path}, line {number}: {found} is not UTF-8; {remedy}"
    return f"{path}: not UTF-8; {remedy}"
