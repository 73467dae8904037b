"""The live page as loop and server have it: a defect in it ends the page, and nothing else."""

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from stream_vae.core.alerts import AlertEvent
from stream_vae.core.excerpts import printable
from stream_vae.core.ports import Clock, EventSink
from stream_vae.core.series_index import SeriesName
from stream_vae.daemon.clock import utc_now
from stream_vae.events import PageFailed
from stream_vae.page.board import PageBoard
from stream_vae.page.view import PageView
from stream_vae.pipeline.pipeline import Outcome
from stream_vae.pipeline.polled_batch import PolledBatch

_SHARE = 0.2
"""Of the loop's time that the page may take; of 100,000 series it takes much less."""
_BEYOND_S = 5.0
"""CPU seconds by which it may exceed that: a collection of garbage meanwhile counts too."""

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFailure:
    """Why there is nothing new on the page."""

    at: datetime
    error: str
    """Printable."""


class LivePage:
    """Board and view of the live page, fenced.

    A defect elsewhere ends the process, for nobody would know what its results are worth. On the
    page no result depends: its first exception, or a call that takes the loop's time, is reported
    with its traceback and ends the page until the next start: the loop has nothing more to do with
    it. The page goes on to say so, and who opens it then gets what it showed last.

    `observe`, `add_alert` and `tick` belong to the loop; `watch`, `news`, `steps` and `search` to
    one other thread. Any may ask for the status.

    Args:
        board: What the loop writes.
        view: What readers get of it.
        events: Receives the failure.
        clock: The time.
        cpu_s: Returns the CPU seconds of the calling thread: that of others is not the page's.
    """

    def __init__(
        self,
        board: PageBoard,
        view: PageView,
        *,
        events: EventSink,
        clock: Clock,
        cpu_s: Callable[[], float],
    ) -> None:
        self._board = board
        self._view = view
        self._events = events
        self._clock = clock
        self._cpu_s = cpu_s
        self._failing = threading.Lock()
        self._failure: PageFailure | None = None
        self._beyond_s = 0.0
        self._called_at = clock.monotonic()

    def status(self) -> dict[str, str]:
        """Return how the page is, for `/statusz`."""
        failure = self._failure
        if failure is None:
            return {"status": "ok", "reason": ""}
        at = failure.at.isoformat(timespec="seconds")
        return {"status": "failed", "reason": f"{failure.error}, at {at}"}

    # The loop

    def observe(self, polled: PolledBatch, outcome: Outcome) -> None:
        """Take note of the verdicts on a poll."""
        self._in_loop(lambda: self._board.observe(polled, outcome))

    def add_alert(self, event: AlertEvent) -> None:
        """Take note of an alert event."""
        self._in_loop(lambda: self._board.add_alert(event))

    def tick(self) -> None:
        """Hand over what has changed, while somebody watches."""
        self._in_loop(lambda: self._board.tick(self._clock.monotonic()))

    # The reader

    def watch(self, names: Collection[SeriesName], *, is_watched: bool) -> None:
        """Say which series are drawn, and whether anybody looks at all."""
        self._fenced(lambda: self._view.watch(names, is_watched=is_watched), None)

    def news(self, version: int) -> tuple[int, list[tuple[str, bytes]]]:
        """Return what a reader lacks of what is shown of all series; see `PageView`."""
        nothing: tuple[int, list[tuple[str, bytes]]] = (version, [])
        return self._fenced(lambda: self._view.news(version), nothing)

    def steps(self, name: SeriesName, cursor: object) -> tuple[object, bytes] | None:
        """Return the steps of a series that a reader lacks, if there are any."""
        return self._fenced(lambda: self._view.steps(name, cursor), None)

    def search(self, text: str) -> bytes:
        """Return series by a part of their keys, as JSON."""
        return self._fenced(lambda: self._view.search(text), b'{"series":[],"is_all":true}')

    def _in_loop(self, action: Callable[[], None]) -> None:
        if self._failure is not None:
            return
        began, now = self._cpu_s(), self._clock.monotonic()
        self._fenced(action, None)
        took = self._cpu_s() - began
        self._beyond_s = max(self._beyond_s - _SHARE * (now - self._called_at), 0.0) + took
        self._called_at = now
        if self._beyond_s > _BEYOND_S:
            self._fail(RuntimeError(f"more than {_SHARE:.0%} of the loop's time was the page's"))

    def _fenced(self, action: Callable[[], Found], otherwise: Found) -> Found:
        try:
            return action()
        except Exception as exc:  # noqa: BLE001 -- whatever it is, detection goes on
            self._fail(exc)
            return otherwise

    def _fail(self, error: Exception) -> None:
        with self._failing:
            if self._failure is not None:
                return
            name = f"{type(error).__name__}: {error}"
            self._failure = PageFailure(at=utc_now(self._clock), error=printable(name, 300))
        self._events.record(PageFailed(exc_info=error))
