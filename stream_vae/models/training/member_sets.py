"""A trained network with other members beside it; it is not fitted again."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from stream_vae.models.bundle import Bundle
from stream_vae.models.bundle_format import with_version
from stream_vae.models.config import TrainingConfig
from stream_vae.models.device import resolve_device
from stream_vae.models.scores import default_score
from stream_vae.models.scores.single import SINGLE_SCORES
from stream_vae.models.training.calibration import (
    NETWORK,
    Source,
    calibrate,
    choose_thresholds,
    member_names,
)
from stream_vae.models.training.train import TrainedModel, reported_quantiles


def smaller_sets(training: TrainingConfig) -> Iterator[str]:
    """Yield the sets of members without each one beside the network, and the network alone."""
    names = member_names(training)
    for name in names if len(names) > 1 else []:
        yield " + ".join([NETWORK, *(one for one in names if one != name)])
    if names:
        yield NETWORK


def with_members(model: TrainedModel, members: str) -> TrainedModel:
    """Return the model with other members, its scores fitted and calibrated anew.

    Args:
        model: Calibrated on a held-out part.
        members: As `training.members`.
    """
    parts = model.parts
    calibrated = _calibrated(model, members, ("training", "validation"))
    labelled = [parts["calibration"], parts["validation"]]
    device = resolve_device(calibrated.training.config.device)
    bundle = with_version(choose_thresholds(calibrated, labelled, device))
    report = replace(
        model.report,
        score=bundle.spec.score,
        calibration_quantiles=reported_quantiles(bundle.spec.calibration),
    )
    return replace(model, bundle=bundle, report=report)


def judged_by_validation(model: TrainedModel, members: str) -> Bundle:
    """Return a bundle with the default score of these members, who know the training part alone.

    Windows that members know cannot judge them: the nearest known window of one is itself.
    """
    return _calibrated(model, members, ("training",), only_default=True)


def _calibrated(
    model: TrainedModel, members: str, known: Sequence[str], *, only_default: bool = False
) -> Bundle:
    bundle = model.bundle
    training = replace(bundle.training.config, members=members)
    spec = bundle.spec
    score = default_score(
        len(spec.features),
        window_length=spec.window_length,
        all_numeric=all(one.kind == "numeric" for one in spec.features),
        has_members=bool(member_names(training)),
    )
    blank = replace(
        bundle,
        spec=replace(spec, score=score, calibration={}, labelled_thresholds={}),
        score_states={},
        training=replace(bundle.training, config=training),
    )
    seen = [model.parts[name] for name in known]
    return calibrate(
        blank,
        fitted_to=seen,
        sources=[Source(bundle=blank, fitted_to=seen, held_out=model.parts["calibration"])],
        device=resolve_device(training.device),
        only=(score,) if only_default else SINGLE_SCORES,
    )
