"""How lines fill steps, and whether these are enough: `inspect` and `train` say it alike."""

from dataclasses import dataclass

from stream_vae.core.durations import describe_duration
from stream_vae.logs.line_times import MOST_MISSING, LineTimes


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSteps:
    """A history of logs in steps, and what would do."""

    step_s: float
    n: int
    """Of all series, without those in gaps of more than a window."""
    wanted: int
    """That would do."""
    n_series: int
    window_length: int
    missing: float
    """Share of the time that is in gaps of more than a window."""
    wider_s: float | None
    """The least step with few such gaps; None if up to an hour none has."""
    span_s: float
    """From the first line to the last one, outages left out."""

    @property
    def is_short(self) -> bool:
        """Whether there are fewer steps than would do."""
        return self.n < self.wanted

    @property
    def has_gaps(self) -> bool:
        """Whether much of the time is in gaps of more than a window."""
        return self.missing > MOST_MISSING

    @property
    def short_text(self) -> str:
        """What to do about a history that is short: to collect.

        A longer step makes fewer steps of a history, so that it is no advice for one that is short.
        """
        lacking_s = (self.wanted - self.n) / max(self.n_series, 1) * self.step_s
        return (
            f"{self.n:,} steps of {describe_duration(self.step_s)} in all are few for windows of "
            f"{self.window_length}: {self.wanted:,} would do; collect for another "
            f"{describe_duration(lacking_s)}, or lines of more such series"
        )

    @property
    def gaps_text(self) -> str:
        """What to do about a history that is mostly quiet."""
        text = (
            f"{self.missing:.0%} of the time is in gaps of more than a window "
            f"({describe_duration(self.window_length * self.step_s)}) without a line, which are "
            "missing, not zero"
        )
        if self.wider_s is None:
            return text
        needed_s = self.wanted / max(self.n_series, 1) * self.wider_s
        return (
            f"{text}: --step-seconds {self.wider_s:g} has few, once lines of "
            f"{describe_duration(needed_s)} are there"
        )


def log_steps(times: LineTimes, step_s: float | None = None) -> LogSteps:
    """Return how lines fill steps.

    Args:
        times: Of the lines.
        step_s: Width of a step; None: what `LineTimes.step_s` takes.
    """
    step_s = times.step_s() if step_s is None else step_s
    return LogSteps(
        step_s=step_s,
        n=times.n_steps(step_s),
        wanted=times.wanted,
        n_series=times.n_series,
        window_length=times.window_length,
        missing=times.missing(step_s),
        wider_s=times.wider(step_s),
        span_s=times.span_s,
    )
