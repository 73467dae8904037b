"""What each member of a fused score adds, and what following the series adds."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.residuals import UsualResiduals
from stream_vae.detect.config import TrackingConfig
from stream_vae.detect.tracking import ResidualTracker

_BASELINES = {"memory": "1-NN", "components": "PCA"}
"""Member -> the baseline that its tracked score alone is, under the same score as ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """Some of the members, with or without the tracker."""

    score_name: str
    members: tuple[int, ...]
    method: str = ""
    """Baseline that it is; empty: part of the product."""
    is_tracked: bool = True

    def score(
        self, evidence: NDArray[np.float32], usual: UsualResiduals, *, step: int = 1
    ) -> NDArray[np.float64]:
        """Return (B,) scores of the windows of one series in order.

        Args:
            evidence: (B, K, F, 2) of all members.
            usual: Of all members.
            step: Readings from one window to the next.
        """
        which = list(self.members)
        config = TrackingConfig()
        tracker = ResidualTracker(
            UsualResiduals(
                variance=usual.variance[which], bias=usual.bias[which], level=usual.level[which]
            ),
            TrackingConfig(readings=config.readings // step),
            1,
        )
        rows = np.zeros(len(evidence), np.int32)
        tracker.state.begin(rows[:1])
        some = np.ascontiguousarray(evidence[:, which])
        return tracker.follow(rows, some) if self.is_tracked else tracker.score(rows, some)[0]


def variants(members: Mapping[str, int], is_useful: NDArray[np.bool_]) -> Iterator[Variant]:
    """Yield the whole, the whole without one member or the tracker, and each member alone.

    Args:
        members: Name -> place among the K.
        is_useful: (K,) which are scored.
    """
    every = tuple(members.values())
    kept = tuple(place for place in every if is_useful[place])
    yield Variant(score_name="fused", members=kept)
    yield Variant(score_name="fused, not tracked", members=kept, is_tracked=False)
    yield Variant(score_name="fused, none left out", members=every)
    if len(every) > 2:
        for name, place in members.items():
            rest = tuple(one for one in every if one != place)
            yield Variant(score_name=f"fused without {name}", members=rest)
    for name, place in members.items():
        yield Variant(score_name="tracked", members=(place,), method=_BASELINES.get(name, ""))
