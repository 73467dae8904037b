"""What happened since the last summary line."""

from collections import deque
from dataclasses import dataclass, field

# Bounds the memory of one period; the newest batches stand for all.
_MAX_TIMES = 10_000


@dataclass(slots=True, kw_only=True)
class Period:
    """Counts of one summary period, and the gauges as last seen."""

    records: int = 0
    readings: int = 0
    windows: int = 0
    anomalous: int = 0
    warming_up: int = 0
    unscorable: int = 0
    alerts: int = 0
    rejected: int = 0
    dead_letters: int = 0
    late: int = 0
    pauses: int = 0
    transactions: int = 0
    series_active: int = 0
    incidents_open: int = 0
    inference_s: deque[float] = field(default_factory=lambda: deque(maxlen=_MAX_TIMES))

    def next(self) -> "Period":
        """Return an empty period that keeps the gauges."""
        return Period(series_active=self.series_active, incidents_open=self.incidents_open)

    def fields(self, duration_s: float, lag_records: int) -> dict[str, object]:
        """Return the fields of the summary line.

        Args:
            duration_s: Length of the period.
            lag_records: Input records not yet committed, over all partitions.
        """
        counts: dict[str, object] = {
            name: getattr(self, name) for name in self.__dataclass_fields__ if name != "inference_s"
        }
        times = sorted(self.inference_s)
        return {
            "period_s": round(duration_s, 3),
            **counts,
            "lag_records": lag_records,
            "windows_per_second": round(self.windows / duration_s, 1) if duration_s > 0 else None,
            "inference_p50_s": _quantile(times, 0.5),
            "inference_p99_s": _quantile(times, 0.99),
        }


def _quantile(ordered: list[float], share: float) -> float | None:
    """Return the nearest-rank quantile of sorted values; None of none."""
    if not ordered:
        return None
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
