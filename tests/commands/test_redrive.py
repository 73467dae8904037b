"""`stream-vae redrive`: what it refuses before it looks for a broker."""

import pytest

from tests.commands.conftest import RunProgram


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--reason", "not-json"], ("--reason", "'not-json'", "not_json")),
        (["--since", "yesterday"], ("--since", "yesterday", "RFC 3339")),
        (["--until", "2026-13-01T00:00:00Z"], ("--until", "2026-13-01")),
        (["--from-offset", "3"], ("--from-offset", "one --partition")),
        (["--to-offset", "3", "--partition", "0", "--partition", "1"], ("one --partition",)),
        (["--to", "stream-vae.dead-letters"], ("--to", "expected another")),
        (["--from", "late", "--to", "stream-vae.late"], ("--to", "expected another")),
    ],
)
def test_flags_that_cannot_be_meant_are_refused(
    run_program: RunProgram, flags: list[str], words: tuple[str, ...]
) -> None:
    ran = run_program("redrive", "--bootstrap", "127.0.0.1:1", *flags)
    assert ran.code == 2
    for word in words:
        assert word in ran.err
