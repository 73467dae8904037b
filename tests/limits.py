"""Limits of waiting that stretch on a slow or busy machine: a test may be slow, it may not lie."""

import os
import time
from functools import cache

_QUIET_S = 0.02
"""CPU seconds of `_work` where the limits in the tests were chosen: two cores of 2024."""

_MOST = 20.0


def slowness() -> float:
    """Return how many times longer than on a quiet machine something may take just now.

    The processor's speed, measured once, times the processes that wait for a core on average;
    `STREAM_VAE_TEST_SLOWNESS` may name a larger number. At least 1, at most 20.
    """
    waiting = os.getloadavg()[0] / (os.cpu_count() or 1)
    named = float(os.environ.get("STREAM_VAE_TEST_SLOWNESS") or 1.0)
    return min(max(named, _speed() * max(waiting, 1.0)), _MOST)


class Limit:
    """A limit in seconds of a quiet machine, which counts from now on.

    What the machine is doing is asked when the limit would be over, so that a load that comes
    later counts too.

    Args:
        seconds: Generous for a quiet machine.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._began = time.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether so much time has passed, on this machine."""
        return self.left_s <= 0

    @property
    def left_s(self) -> float:
        """Seconds until it is over, as things are now; negative afterwards."""
        passed = time.monotonic() - self._began
        if passed < self.seconds:  # the common case, and without a look at the machine
            return self.seconds - passed
        return self.seconds * slowness() - passed


@cache
def _speed() -> float:
    """Return the processor's time for a fixed piece of work, over that of the reference."""
    return max(min(_work() for _ in range(3)) / _QUIET_S, 1.0)


def _work() -> float:
    began = time.process_time()
    sum(i * i for i in range(200_000))
    return time.process_time() - began
