"""Every score that is fitted on its own, by name."""

from stream_vae.models.scores.error import AbsoluteError, Recency, SquaredError
from stream_vae.models.scores.latent import LatentCluster, LatentOutlier, LatentWasserstein
from stream_vae.models.scores.likelihood import (
    LastStep,
    LogProbability,
    SampleCovariance,
    UnitVariance,
)
from stream_vae.models.scores.score import Score
from stream_vae.models.scores.supervised import Supervised
from stream_vae.models.scores.tracked import Fused, FusedWindow, Tracked
from stream_vae.models.scores.worst_feature import WorstFeature

SINGLE_SCORES: dict[str, type[Score]] = {
    score.name: score
    for score in (
        LogProbability,
        Recency,
        LastStep,
        WorstFeature,
        UnitVariance,
        SampleCovariance,
        SquaredError,
        AbsoluteError,
        LatentWasserstein,
        LatentCluster,
        LatentOutlier,
        Supervised,
        Tracked,
        Fused,
        FusedWindow,
    )
}
