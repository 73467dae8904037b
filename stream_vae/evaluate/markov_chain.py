"""A Markov chain of events, as a baseline for sessions."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

_BEGIN, _END, _UNKNOWN = object(), object(), object()
_SMOOTHING = 0.01
"""Added to how often each transition was seen (Lidstone)."""


class MarkovChain:
    """Probabilities of an event given the one before it.

    Args:
        sessions: Of the training part, events in their order.
    """

    def __init__(self, sessions: Sequence[Sequence[str]]) -> None:
        self._known = {event for session in sessions for event in session}
        self._transitions = Counter(pair for one in sessions for pair in self._pairs(one))
        self._before: Counter[object] = Counter()
        for (before, _), count in self._transitions.items():
            self._before[before] += count

    def score(self, sessions: Sequence[Sequence[str]], which: str) -> NDArray[np.float64]:
        """Return (B,) the `largest` or the `mean` -log probability of a session's events, nats."""
        summary = max if which == "largest" else _mean
        return np.array([summary([*map(self._surprisal, self._pairs(one))]) for one in sessions])

    def _pairs(self, session: Sequence[str]) -> Iterator[tuple[object, object]]:
        inside = [event if event in self._known else _UNKNOWN for event in session]
        return pairwise((_BEGIN, *inside, _END))

    def _surprisal(self, pair: tuple[object, object]) -> float:
        outcomes = len(self._known) + 2  # the end and any unknown event
        seen = self._transitions[pair] + _SMOOTHING
        return -math.log(seen / (self._before[pair[0]] + _SMOOTHING * outcomes))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
