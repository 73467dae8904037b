"""The lines of one file, whatever packs or encodes it, as bytes of UTF-8."""

import codecs
import gzip
import io
import stat
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from stream_vae.core.records import LARGEST_RECORD_BYTES
from stream_vae.errors import InputFileError

Binary = io.BufferedReader | gzip.GzipFile

_LIMIT = 2 * LARGEST_RECORD_BYTES + 65_536
"""Bytes of a line: a record of the largest size, written as hex."""
_GZIP = b"\x1f\x8b"
_OTHER_PACKERS: Mapping[bytes, str] = {
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"PK\x03\x04": "zip",
}
_MARKS: Mapping[bytes, str] = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""In the order in which they are tried: that of UTF-16 begins that of UTF-32."""
_BLANK = b"\0 \t\r\n\v\f"
_HEAD_BYTES = 4096
_MOSTLY, _HARDLY = 0.9, 0.1
"""Shares of the first bytes that are 0 at odd or even places in UTF-16 of mostly Latin letters."""


class LineFile:
    """The lines of a file that are not blank, each with its number from 1.

    Args:
        path: Unpacked if it is gzip, decoded if it is UTF-16 or UTF-32.
        is_log: Lines of a log keep the space at their beginning; one that is longer than any record
            is cut. Else such a line is refused.

    Raises:
        InputFileError: While it is read; with the line, where there is one.
    """

    def __init__(self, path: Path, *, is_log: bool) -> None:
        self._path = path
        self._is_log = is_log
        self._raw: io.BufferedReader | None = None
        self._size = 0
        self._is_over = False

    @property
    def share_read(self) -> float:
        """Share of the file's bytes, as it lies there, that were read."""
        if self._is_over:
            return 1.0
        is_open = self._raw is not None and not self._raw.closed
        return self._raw.tell() / self._size if is_open and self._raw and self._size else 0.0

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Yield number and bytes of each line, without its end."""
        try:
            with self._path.open("rb") as raw:
                self._raw, self._size = raw, self._path.stat().st_size
                yield from self._numbered(raw)
                self._is_over = True
        except (gzip.BadGzipFile, EOFError, zlib.error) as exc:
            raise InputFileError(f"{self._path}: not a whole gzip file ({exc})") from exc
        except OSError as exc:
            raise InputFileError(f"{self._path}: cannot be read: {exc.strerror or exc}") from exc

    def _numbered(self, raw: io.BufferedReader) -> Iterator[tuple[int, bytes]]:
        for number, line in enumerate(_lines(unpacked(raw, self._path)), 1):
            # Rotated by truncation, a log that is still written to begins with zeros.
            bare = line.rstrip(_BLANK).lstrip(b"\0") if self._is_log else line.strip()
            bare = bare.removeprefix(codecs.BOM_UTF8)
            if len(line) >= _LIMIT and not self._is_log:
                raise InputFileError(f"{self._path}, line {number}: more than {_LIMIT:,} bytes")
            if bare:
                yield number, bare


def unpacked(raw: io.BufferedReader, path: Path) -> Binary:
    """Return a file, unpacked if it is gzip.

    Raises:
        InputFileError: If another program packed it.
    """
    head = raw.peek(8)
    packer = next((name for sign, name in _OTHER_PACKERS.items() if head.startswith(sign)), "")
    if packer:
        raise InputFileError(f"{path}: packed by {packer}; expected text, or text packed by gzip")
    return gzip.GzipFile(fileobj=raw) if head.startswith(_GZIP) else raw


def refuse_pipes(paths: Sequence[Path], why: str) -> None:
    """Refuse what can be read once alone.

    Raises:
        InputFileError: If a path is a pipe or a device.
    """
    for path in paths:
        if path.exists() and not (stat.S_ISREG(path.stat().st_mode) or path.is_dir()):
            raise InputFileError(
                f"{path}: found a pipe or device, which can be read once; expected a file: {why}"
            )


def _lines(file: Binary) -> Iterator[bytes]:
    """Yield lines in UTF-8 with their ends."""
    encoding = _encoding_of(file.peek(_HEAD_BYTES)[:_HEAD_BYTES])
    if encoding is None:
        yield from _bounded(lambda: file.readline(_LIMIT))
        return
    with io.TextIOWrapper(file, encoding=encoding, errors="replace", newline="\n") as text:
        yield from _bounded(lambda: text.readline(_LIMIT).encode())


def _bounded(read_on: Callable[[], bytes]) -> Iterator[bytes]:
    """Yield lines, what is beyond `_LIMIT` left out.

    Args:
        read_on: Returns the rest of a line, or its first `_LIMIT`.
    """
    while line := read_on():
        rest = line
        while len(rest) >= _LIMIT and not rest.endswith(b"\n"):
            rest = read_on()
        yield line


def _encoding_of(head: bytes) -> str | None:
    """Return the encoding of what begins so, by its mark or its zeros; None: it has no other.

    >>> _encoding_of("Mär".encode("utf-16")), _encoding_of("a line".encode("utf-16-be"))
    ('utf-16', 'utf-16-be')
    """
    marked = next((name for mark, name in _MARKS.items() if head.startswith(mark)), None)
    if marked is not None:
        return marked
    shares = [head[at::2].count(0) / max(len(head[at::2]), 1) for at in (0, 1)]
    if max(shares) < _MOSTLY or min(shares) > _HARDLY:
        return None
    return "utf-16-be" if shares[0] > shares[1] else "utf-16-le"
