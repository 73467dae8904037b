"""What is done to the observed broker of the logs' demo, and when."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.progress import Progress

from stream_vae.commands.jobs.log_demo_report import Disturbance
from stream_vae.edges.kafka.embedded import EmbeddedBroker

_ROUND_TRIP_MS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One thing that is done to the observed broker, and how long it lasts."""

    name: str
    seconds: float
    begin: Callable[[], None]
    is_disturbance: bool = False
    is_return: bool = False
    """Whether the broker is back."""


def phases_of(observed: EmbeddedBroker) -> tuple[Phase, ...]:
    """Return what happens to the observed broker, in its order."""

    def nothing() -> None:
        """Leave it as it is."""

    return (
        Phase(name="normal work", seconds=12, begin=nothing),
        Phase(
            name=f"slowed by {_ROUND_TRIP_MS} ms",
            seconds=12,
            begin=lambda: observed.slow_down(_ROUND_TRIP_MS),
            is_disturbance=True,
        ),
        Phase(name="normal work again", seconds=16, begin=lambda: observed.slow_down(0)),
        Phase(name="down", seconds=10, begin=observed.go_down, is_disturbance=True),
        Phase(name="back", seconds=20, begin=observed.come_up, is_disturbance=True, is_return=True),
    )


class Schedule:
    """Begins each phase when it is due.

    Args:
        phases: In their order.
        bar: Shows how far each is.
    """

    def __init__(self, phases: Sequence[Phase], bar: Progress) -> None:
        self._phases = list(phases)
        self._bar = bar
        self._tasks = [bar.add_task(one.name, total=one.seconds, start=False) for one in phases]
        self._began: list[datetime] = []
        self._ended: datetime | None = None

    def advance(self) -> bool:
        """Begin the phase that is due; return whether all are over."""
        now = datetime.now(UTC)
        current = len(self._began) - 1
        waited = (now - self._began[current]).total_seconds() if self._began else 0.0
        if self._began:
            self._bar.update(self._tasks[current], completed=waited)
        if self._began and waited < self._phases[current].seconds:
            return False
        if current + 1 == len(self._phases):
            self._ended = now
            return True
        phase = self._phases[current + 1]
        self._began.append(now)
        self._bar.start_task(self._tasks[current + 1])
        self._bar.console.print(f"{now:%H:%M:%S}Z  {phase.name}", style="bold")
        phase.begin()
        return False

    @property
    def disturbances(self) -> tuple[Disturbance, ...]:
        """What was done to the broker, and when."""
        ends = [*self._began[1:], self._ended or self._began[-1]]
        return tuple(
            Disturbance(name=phase.name, start=start, end=end, is_return=phase.is_return)
            for phase, start, end in zip(self._phases, self._began, ends, strict=True)
            if phase.is_disturbance
        )
