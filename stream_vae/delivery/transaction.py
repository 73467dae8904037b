"""A commit that runs concurrently with the loop."""

import threading
from collections.abc import Callable, Mapping

from stream_vae.core.ports import Clock
from stream_vae.delivery.outbox import Outputs


class Transaction:
    """Commits in a thread of its own, started at once.

    Args:
        outputs: The records to publish.
        settled: Input partition -> next offset, where it changed.
        commit: Returns whether the commit succeeded in the current group generation.
        clock: The time.
    """

    def __init__(
        self,
        outputs: Outputs,
        settled: Mapping[int, int],
        commit: Callable[[], bool],
        clock: Clock,
    ) -> None:
        self.outputs = outputs
        self.settled = settled
        self._clock = clock
        self.began_at = self.ended_at = clock.monotonic()
        self._commit = commit
        self._is_committed = False
        self._failure: BaseException | None = None
        # Abandoned if the process ends while it hangs.
        self._thread = threading.Thread(target=self.run, name="committer", daemon=True)
        self.start()

    def start(self) -> None:
        """Start the commit concurrently with the caller."""
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """Whether `outcome` is known."""
        return not self._thread.is_alive()

    def wait(self, timeout_s: float) -> None:
        """Wait until it is over, at most `timeout_s`."""
        self._thread.join(timeout_s)

    def outcome(self) -> bool:
        """Wait until it is over; return whether it was committed.

        Raises:
            BaseException: Whatever the commit raised.
        """
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        return self._is_committed

    def run(self) -> None:
        """Commit, in the caller's thread."""
        try:
            self._is_committed = self._commit()
        except BaseException as exc:  # noqa: BLE001 -- carried to the caller's thread and raised there
            self._failure = exc
        self.ended_at = self._clock.monotonic()
