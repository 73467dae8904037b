"""`stream-vae redrive`: what it refuses before it looks for a broker."""

import pytest

from stream_vae.commands.jobs.redrive_plan import RedrivePlan
from stream_vae.core.records import Rejection
from stream_vae.edges.kafka.read.topic_reader import TopicRecord
from stream_vae.wire.redrive_history import Selection
from stream_vae.wire.rejections import rejection_headers
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


@pytest.mark.parametrize(
    ("time_ms", "shown"), [(0, "1970-01-01 00:00Z"), (2**62, "+146140482"), (-1, "1969-12-31")]
)
def test_a_record_of_any_time_is_listed(time_ms: int, shown: str) -> None:
    """Producers set the times of records, in 64 bits."""
    plan = RedrivePlan(
        Selection(), {}, partitions=(), to=None, again=False, n_partitions=lambda _: 1
    )
    rejection = Rejection(index=0, reason="not_json", detail="no brace")
    headers = rejection_headers(
        [], rejection, topic="readings", partition=0, offset=0, detector="pumps"
    )
    assert plan.look(
        TopicRecord(partition=0, offset=0, key=b"", value=b"", headers=headers, time_ms=time_ms)
    )
    assert shown.lstrip("+") in next(plan.lines())
