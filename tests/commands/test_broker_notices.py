"""A wait is told, not repeated."""

import io

from rich.console import Console

from stream_vae.commands.broker_notices import BrokerNotices


def test_a_wait_is_told_at_once_and_again_after_five_seconds() -> None:
    times = iter([0.0, 1.0, 4.9, 5.0, 6.0])
    output = io.StringIO()
    notices = BrokerNotices(Console(file=output), clock=lambda: next(times))

    for i in range(5):
        notices(f"[red]reason {i}")

    assert output.getvalue().splitlines() == ["waiting: [red]reason 0", "waiting: [red]reason 3"]
