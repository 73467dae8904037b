"""Anomaly scores of windows, selectable by name; higher = more anomalous.

To add one: write a `Score` and put it into `single.SINGLE_SCORES`. Training then fits and
calibrates it, bundles store its fitted tensors, and `tests/models/test_every_score.py` checks it
against the contract of all scores.
"""

from stream_vae.models.scores.combined import Combined
from stream_vae.models.scores.error import Recency
from stream_vae.models.scores.likelihood import LogProbability
from stream_vae.models.scores.score import Score
from stream_vae.models.scores.single import SINGLE_SCORES
from stream_vae.models.scores.tracked import Fused, Tracked

SCORES: dict[str, type[Score]] = {**SINGLE_SCORES, Combined.name: Combined}
"""Every score by name."""


def default_score(
    n_features: int,
    *,
    window_length: int,
    all_numeric: bool = True,
    has_members: bool = True,
) -> str:
    """Return the name of the score that `auto` stands for.

    On several numeric features in time the fused score found more than any member alone; without
    other members than the network, its own is tracked. A single series has long anomalies, which a
    tracker would follow, and events have no order in time: see `residual_score`.
    """
    if n_features > 1 and window_length > 1 and all_numeric:
        return Fused.name if has_members else Tracked.name
    return residual_score(n_features, all_numeric=all_numeric)


def residual_score(n_features: int, *, all_numeric: bool = True) -> str:
    """Return the name of the best score that depends on a window alone.

    The recency score found more on multivariate data and less on single series with long anomalies.
    It compares distances, which say less of a count or a category than their probability: on
    records of mixed kinds with planted rule breaks its average precision was .80, that of the
    log-probability .84.
    """
    return Recency.name if n_features > 1 and all_numeric else LogProbability.name
