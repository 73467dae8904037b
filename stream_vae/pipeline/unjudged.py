"""Whether any reading can be judged: a detector that judges nothing looks like one at rest."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.model_spec import ModelSpec
from stream_vae.core.verdicts import Verdict
from stream_vae.detect.config import DetectConfig
from stream_vae.events import Event, NothingJudged

LEAST_READINGS: Final = 100
"""Readings in a row that cannot be judged, at least, before it is told."""

_WINDOWS = 2
_WHY: Final = {
    "too_little_observed": (
        "too little of their windows is observed: fewer values than detect.min_observed asks for"
    ),
    "never_warm": (
        "no series fills a window: they begin anew after gaps of more than detect.max_gap steps, "
        "or are too short"
    ),
    "late": "they are older than steps that have been judged",
}


class UnjudgedWatch:
    """Counts readings since the last one that could be judged.

    It is told once they reach over two windows of event time and the gaps that these bridge, by
    which any series that sends as the model expects has been judged. Its state does not survive a
    restart.

    Args:
        spec: The model's inputs.
        config: See `DetectConfig`.
    """

    def __init__(self, spec: ModelSpec, config: DetectConfig) -> None:
        steps = _WINDOWS * (spec.window_length + config.max_gap)
        self.told_after_s = steps * spec.step_seconds
        """Event time over which they must reach before it is told."""
        self._counts = dict.fromkeys(_WHY, 0)
        self._first: int | None = None
        self._newest = 0
        self._is_told = False

    @property
    def readings(self) -> int:
        """Readings since the last that could be judged."""
        return sum(self._counts.values())

    @property
    def complaint(self) -> str:
        """Description of what is wrong; empty if nothing is."""
        if not self._is_told:
            return ""
        return f"none of the last {self.readings} readings could be judged: {_WHY[self._reason]}"

    def observe(
        self, verdicts: NDArray[np.int8], late: NDArray[np.bool_], times: NDArray[np.int64]
    ) -> list[Event]:
        """Add N judged readings; return the events to record.

        Args:
            verdicts: (N,) see `Verdict`.
            late: (N,) too late for their step.
            times: (N,) event times, nanoseconds since 1970.
        """
        judged = np.flatnonzero((verdicts == Verdict.NORMAL) | (verdicts == Verdict.ANOMALOUS))
        if len(judged):
            self._counts = dict.fromkeys(_WHY, 0)
            self._first, self._is_told = None, False
        begin = int(judged[-1]) + 1 if len(judged) else 0
        verdicts, late, times = verdicts[begin:], late[begin:], times[begin:]
        if not len(verdicts):
            return []
        warming_up = int(np.count_nonzero(~late & (verdicts == Verdict.WARMING_UP)))
        n_late = int(np.count_nonzero(late))
        self._counts["late"] += n_late
        self._counts["never_warm"] += warming_up
        self._counts["too_little_observed"] += len(verdicts) - n_late - warming_up
        if self._first is None:
            self._first = self._newest = int(times[0])
        self._newest = max(self._newest, int(times.max()))
        return self._judge()

    @property
    def _reason(self) -> str:
        """What most of them lack."""
        return max(self._counts, key=lambda each: self._counts[each])

    def _judge(self) -> list[Event]:
        """Tell it once, until one has been judged."""
        over_s = (self._newest - (self._first or 0)) / 1e9
        is_late = self._reason == "late"  # their times need not go on
        if self._is_told or self.readings < LEAST_READINGS:
            return []
        if over_s < self.told_after_s and not (is_late and self.readings >= 10 * LEAST_READINGS):
            return []
        self._is_told = True
        return [
            NothingJudged(
                readings=self.readings,
                reason=self._reason,
                detail=_WHY[self._reason],
                over_s=over_s,
            )
        ]
