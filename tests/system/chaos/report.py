"""What came out of a run."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Figures of a run, and in what it differed from the oracle."""

    origin: str
    """Where the input comes from."""
    faults: Counter[str]
    unreached: Counter[str]
    """Of these, those that found nothing to strike."""
    ends: Counter[str]
    """Why daemon processes ended."""
    n_records: int
    n_series: int
    n_alerts: int
    n_dead_letters: int
    n_late: int
    n_restored: int
    """Series whose state the changelog holds."""
    duration_s: float
    differences: list[str]
    logs: Path

    @property
    def is_equal(self) -> bool:
        """Whether the faults changed nothing."""
        return not self.differences

    def __str__(self) -> str:
        """Return it as lines to read."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{sum(self.faults.values())} faults in {self.duration_s:.0f} s:"
        for kind, n in sorted(self.faults.items()):
            missed = f" ({self.unreached[kind]} missed)" if self.unreached[kind] else ""
            yield f"  {n:4d} x {kind}{missed}"
        yield f"{sum(self.ends.values())} ends of a daemon:"
        for reason, n in self.ends.most_common():
            yield f"  {n:4d} x {reason}"
        yield (
            f"compared: {self.n_records} records of {self.n_series} series ({self.origin}), "
            f"{self.n_alerts} alert events, {self.n_dead_letters} dead letters, "
            f"{self.n_late} late, state of {self.n_restored} series"
        )
        yield from self.differences
        yield "EQUAL" if self.is_equal else f"DIFFERENT; data and logs: {self.logs}"
