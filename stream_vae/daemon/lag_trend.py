"""Whether more and more records wait."""

from collections import deque
from collections.abc import Mapping

_SAMPLE_S = 5.0
_SAMPLES = 60


class LagTrend:
    """Compares how many records waited five minutes ago with how many wait now.

    Args:
        least: Records by which the lag must have grown.
    """

    def __init__(self, least: int) -> None:
        self._least = least
        self._samples: deque[int] = deque(maxlen=_SAMPLES)
        self._partitions: frozenset[int] = frozenset()
        self._sampled_at = -float("inf")
        self.complaint = ""
        """Description of how the lag grows; empty if it does not."""

    def observe(self, lag: Mapping[int, int], now: float) -> None:
        """Add partition -> records not yet polled, at `now` (monotonic seconds)."""
        if lag.keys() != self._partitions:  # what others leave behind is no growth
            self._partitions = frozenset(lag)
            self._samples.clear()
            self.complaint = ""
        if now - self._sampled_at < _SAMPLE_S:
            return
        self._sampled_at = now
        self._samples.append(sum(lag.values()))
        if len(self._samples) < _SAMPLES:
            return
        quarter, samples = _SAMPLES // 4, list(self._samples)
        before, after = max(samples[:quarter]), min(samples[-quarter:])
        self.complaint = ""
        if after - before >= self._least:
            self.complaint = (
                f"{samples[-1]} records wait, {samples[0]} did {_SAMPLE_S * _SAMPLES / 60:.0f} "
                "minutes ago: the input is faster than this instance; add instances or partitions"
            )
