"""A transaction beside the loop, without a thread."""

from stream_vae.delivery.transaction import Transaction
from tests.memory_kafka.faults import Faults


class SteppedTransaction(Transaction):
    """Commits once it was looked at so many times, or when its outcome is waited for."""

    faults: Faults

    def start(self) -> None:
        self._looks_left = self.faults.transaction_turns
        self._is_over = False
        if not self._looks_left:
            self._finish()

    @property
    def is_over(self) -> bool:
        self._looks_left -= 1
        if self._looks_left <= 0:
            self._finish()
        return self._is_over

    def wait(self, timeout_s: float) -> None:
        self._finish()

    def outcome(self) -> bool:
        self._finish()
        if self._failure is not None:
            raise self._failure
        return self._is_committed

    def _finish(self) -> None:
        if not self._is_over:
            self._is_over = True
            self.run()


def stepped(faults: Faults) -> type[SteppedTransaction]:
    """Return transactions that go on as the faults say."""
    return type("Stepped", (SteppedTransaction,), {"faults": faults})
