"""A model that was not trained: what its state would take, from its shape alone."""

from datetime import UTC, datetime

import numpy as np

from stream_vae.core.model_spec import ModelSpec, numeric_features
from stream_vae.core.residuals import UsualResiduals
from stream_vae.core.scaling import Scaler
from stream_vae.core.score_names import LIKELIHOOD_SCORE
from stream_vae.models.training.calibration import member_names
from stream_vae.settings import Settings

_NETWORK = 1
_QUANTILES = np.linspace(0.0, 1.0, 1001)


def assumed_spec(
    settings: Settings, *, window_length: int, n_features: int, step_seconds: float
) -> ModelSpec:
    """Return the spec that a training of numeric features with these settings would leave.

    Only its shape counts: calibration and residuals are those of nothing.

    Args:
        settings: `training.members` and `detect.score` bear on the state.
        window_length: T, steps.
        n_features: F
        step_seconds: Width of the time grid.
    """
    members = {
        "tracked": _NETWORK,
        "fused": _NETWORK + len(member_names(settings.training)),
        LIKELIHOOD_SCORE: _NETWORK + 1,
    }
    asked = settings.detect.score
    default = "fused" if n_features > 1 else LIKELIHOOD_SCORE
    return ModelSpec(
        id="assumed",
        version="assumed",
        trained_at=datetime.fromtimestamp(0, tz=UTC),
        features=numeric_features(f"feature-{i}" for i in range(n_features)),
        window_length=window_length,
        step_seconds=step_seconds,
        scaler=Scaler(mean=np.zeros(n_features), std=np.ones(n_features)),
        score=default,
        calibration=dict.fromkeys([*members, *([] if asked == "auto" else [asked])], _QUANTILES),
        labelled_thresholds={score: {"youden": 1.0, "best_f1": 1.0} for score in [*members, asked]},
        tracking={score: _usual(n, n_features) for score, n in members.items()},
    )


def _usual(n_members: int, n_features: int) -> UsualResiduals:
    shape = (n_members, n_features)
    return UsualResiduals(variance=np.ones(shape), bias=np.zeros(shape), level=np.zeros(shape))
