"""Lines of a file, whatever packs or encodes it."""

import bz2
import gzip
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from stream_vae.edges.files import line_file
from stream_vae.edges.files.line_file import LineFile, refuse_pipes
from stream_vae.errors import InputFileError

TEXT = "2026-03-01T00:00:00Z café\n\n  at f()\r\n"
LOG = [(1, "2026-03-01T00:00:00Z café"), (3, "  at f()")]


def lines_of(path: Path, *, is_log: bool = True) -> list[tuple[int, str]]:
    return [(number, line.decode()) for number, line in LineFile(path, is_log=is_log)]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        TEXT.encode("utf-16"),
        ("\ufeff" + TEXT).encode("utf-16-be"),
        TEXT.encode("utf-16-le"),
        TEXT.encode("utf-16-be"),
        TEXT.encode("utf-32"),
        b"\0" * 9_000 + TEXT.encode() + b"\0" * 9,
    ],
    ids=["utf-8", "marked", "16", "16 be", "16 le bare", "16 be bare", "32", "truncated in place"],
)
def test_the_same_lines_come_of_every_encoding(
    tmp_path: Path, content: bytes, pack: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(pack(content))
    assert lines_of(path) == LOG
    assert lines_of(path, is_log=False)[1] == (3, "at f()") or content.startswith(b"\0")


@pytest.mark.parametrize(
    ("packer", "content"),
    [
        ("bzip2", bz2.compress(TEXT.encode())),
        ("xz", lzma.compress(TEXT.encode())),
        ("zstd", b"\x28\xb5\x2f\xfd rest"),
        ("zip", b"PK\x03\x04 rest"),
    ],
)
def test_what_another_program_packed_is_refused_by_its_name(
    tmp_path: Path, packer: str, content: bytes
) -> None:
    (tmp_path / "app.log").write_bytes(content)
    with pytest.raises(InputFileError, match=rf"app\.log: packed by {packer}; expected text"):
        lines_of(tmp_path / "app.log")


def test_a_log_line_beyond_all_bounds_is_cut_and_a_record_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_file, "_LIMIT", 10)
    path = tmp_path / "app.log"
    path.write_text("one\n" + "x" * 35 + "\ntwo\n" + "y" * 20)
    assert lines_of(path) == [(1, "one"), (2, "x" * 10), (3, "two"), (4, "y" * 10)]
    with pytest.raises(InputFileError, match="line 2: more than 10 bytes"):
        lines_of(path, is_log=False)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_the_share_that_was_read_grows_to_all(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(pack("".join(os.urandom(40).hex() + "\n" for _ in range(9_000)).encode()))
    file = LineFile(path, is_log=True)
    assert file.share_read == 0
    shares = [file.share_read for _ in file]
    assert shares == sorted(shares)
    assert 0.3 < shares[4_500] < 0.7
    assert file.share_read == 1


def test_a_pipe_is_refused_where_it_would_be_read_twice(tmp_path: Path) -> None:
    """Control: a file is not, and what is not there is told when it is read."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    refuse_pipes([tmp_path / "file", tmp_path / "none", tmp_path], "it is read twice")
    with pytest.raises(InputFileError, match=r"pipe: found a pipe or device.*it is read twice"):
        refuse_pipes([tmp_path / "pipe"], "it is read twice")
