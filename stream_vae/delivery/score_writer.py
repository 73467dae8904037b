"""Scores of the readings of chosen series, as records of a topic of their own."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

import numpy as np

from stream_vae.core.count_interval import central_interval
from stream_vae.core.event_time import utc
from stream_vae.core.model_spec import Feature
from stream_vae.core.records import OutputRecord
from stream_vae.core.verdicts import Verdict
from stream_vae.pipeline.pipeline import Outcome, Pipeline
from stream_vae.wire.alerts import rfc3339
from stream_vae.wire.scores import ScoredFeature, ScoredReading, encode_score

_WITHIN = 1.959964
"""Standard deviations within which 95 % of what is expected lies."""

_MOST_REMEMBERED = 65_536


class ScoreWriter:
    """Encodes the judged readings of the series that are asked for.

    Args:
        topic: Of the scores.
        patterns: Names of series, with `*` and `?`.
        pipeline: Knows what was expected.
    """

    def __init__(self, topic: str, patterns: Sequence[str], pipeline: Pipeline) -> None:
        self._topic = topic
        # `fnmatch` knows sets of characters too, which many names of series look like.
        self._patterns = tuple(pattern.replace("[", "[[]") for pattern in patterns)
        self._pipeline = pipeline
        self._wanted: dict[str, bool] = {}

    def records(self, outcome: Outcome) -> list[OutputRecord]:
        """Return the scores of a poll's readings, in their order; of most polls there are none."""
        scored = outcome.batch.scored
        readings, ready = scored.readings, scored.window_batch.ready
        which = [b for b, n in enumerate(ready.tolist()) if self._wants(readings.series[n])]
        if not which:
            return []
        at = np.array(which, np.int64)
        told = self._pipeline.told(outcome, at)
        deviation = np.nan_to_num(told.deviation)
        verdicts, features = outcome.verdicts, self._pipeline.detector.spec.features
        records = []
        for a, n in enumerate(ready[at].tolist()):
            is_anomalous = verdicts.verdict[n] == Verdict.ANOMALOUS
            reading = ScoredReading(
                series=readings.series[n],
                time=rfc3339(utc(int(readings.times[n]))),
                score=float(verdicts.score[n]),
                threshold=float(verdicts.threshold[n]),
                p_value=float(verdicts.p_value[n]),
                verdict="anomalous" if is_anomalous else "normal",
                features=[
                    _feature(
                        feature,
                        actual=float(readings.values[n, f]),
                        expected=float(told.expected[a, f]),
                        std=float(told.expected_std[a, f]),
                        is_anomalous=bool(is_anomalous and deviation[a, f] > _WITHIN),
                    )
                    for f, feature in enumerate(features)
                ],
            )
            records.append(
                OutputRecord(
                    topic=self._topic,
                    key=reading.series.encode(),
                    value=encode_score(reading),
                    headers=[("content-type", b"application/json")],
                    partition=int(readings.partitions[n]),
                )
            )
        return records

    def _wants(self, series: str) -> bool:
        found = self._wanted.get(series)
        if found is None:
            if len(self._wanted) >= _MOST_REMEMBERED:
                self._wanted.clear()
            found = any(fnmatchcase(series, pattern) for pattern in self._patterns)
            self._wanted[series] = found
        return found


def _feature(
    feature: Feature, *, actual: float, expected: float, std: float, is_anomalous: bool
) -> ScoredFeature:
    lower: float | None = None
    upper: float | None = None
    if feature.kind == "count":
        lower, upper = central_interval(expected, std)
    elif feature.kind == "numeric":
        lower, upper = expected - _WITHIN * std, expected + _WITHIN * std
    return ScoredFeature(
        name=feature.name,
        unit=feature.unit,
        actual=None if np.isnan(actual) else actual,
        expected=expected,
        lower=lower,
        upper=upper,
        anomalous=is_anomalous,
    )
