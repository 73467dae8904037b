"""A wait is told, not repeated."""

import io

from rich.console import Console

from stream_vae.commands.broker_notices import BrokerNotices
from stream_vae.events import BrokerUnreachable


def test_a_wait_is_told_at_once_and_again_after_five_seconds() -> None:
    times = iter([0.0, 1.0, 4.9, 5.0, 6.0])
    output = io.StringIO()
    notices = BrokerNotices(Console(file=output), clock=lambda: next(times))

    for i in range(5):
        detail = f"[red]reason {i}"
        notices.record(BrokerUnreachable(detail=detail, waited_s=0.0, deadline_s=1.0))

    assert output.getvalue().splitlines() == ["waiting: [red]reason 0", "waiting: [red]reason 3"]
