"""A wait is told with address and time left, not repeated."""

import pytest

from stream_vae.commands.jobs.broker_notices import BrokerNotices
from stream_vae.commands.jobs.terminal import open_console
from stream_vae.events import BrokerReached, BrokerUnreachable


def test_each_reason_is_told_once_an_outage_and_the_time_left_now_and_then(
    capsys: pytest.CaptureFixture[str],
) -> None:
    notices = BrokerNotices(open_console(soft_wrap=True), "[red]:9092")

    def fail(detail: str, waited_s: float) -> None:
        notices.record(BrokerUnreachable(detail=detail, waited_s=waited_s, deadline_s=300.0))

    notices.record(BrokerReached(waited_s=0.0))
    for i in range(4):
        fail(f"refused (after {i}ms in state CONNECT)", float(i))
        fail("no metadata", float(i))
    fail("no metadata", 34.0)
    fail("no metadata", 35.0)
    notices.record(BrokerReached(waited_s=36.0))
    fail("no metadata", 0.0)

    hint = "check the address if this lasts; Ctrl-C stops"
    start = "waiting for a broker at [red]:9092"
    assert capsys.readouterr().out.splitlines() == [
        f"{start}, 300 s more: refused (after 0ms in state CONNECT)",
        hint,
        f"{start}, 300 s more: no metadata",
        f"{start}, 266 s more: no metadata",
        "a broker answers again",
        f"{start}, 300 s more: no metadata",
        hint,
    ]
