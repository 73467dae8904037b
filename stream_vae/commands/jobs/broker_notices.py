"""Prints broker outages on a terminal, without repetitions."""

import re

from rich.console import Console

from stream_vae.events import BrokerReached, BrokerUnreachable, Event


class BrokerNotices:
    """An event sink that prints why a command waits, each reason of an outage once.

    Args:
        console: To print to.
        servers: The brokers' addresses, as given.
    """

    def __init__(self, console: Console, servers: str) -> None:
        self._console = console
        self._servers = servers
        self._told: set[str] = set()

    def record(self, event: Event) -> None:
        """Print a new reason, or the end of an outage."""
        if isinstance(event, BrokerReached) and self._told:
            self._told.clear()
            self._print("a broker answers again")
        if not isinstance(event, BrokerUnreachable):
            return
        reason = re.sub(r"\d+ ?ms", "", event.detail)  # how long an attempt took is no news
        if reason not in self._told:
            left_s = max(event.deadline_s - event.waited_s, 0)
            self._print(
                f"waiting for a broker at {self._servers}, {left_s:.0f} s more: {event.detail}"
            )
        self._told.add(reason)

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False)
