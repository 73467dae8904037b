from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest

from stream_vae.core.model_spec import Criterion
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.residuals import UsualResiduals
from stream_vae.detect.config import DetectConfig, ThresholdConfig, TrackingConfig
from stream_vae.errors import ConfigError
from stream_vae.pipeline.detector import Detector, detector_parts
from stream_vae.pipeline.pipeline import Pipeline
from tests.conftest import NOW, F, MeanSquareScorer, make_spec

SPEC = make_spec()
STRICT = DetectConfig(threshold=ThresholdConfig(quantile=0.9999))


def version_of(config: DetectConfig | None = None, version: str = SPEC.version) -> str:
    spec = replace(
        SPEC, version=version, calibration={**SPEC.calibration, "other": np.linspace(0, 1, 101)}
    )
    return Detector(spec, MeanSquareScorer(), config or DetectConfig(), 1).version


def test_model_score_and_percentile_make_the_version_and_nothing_else_does() -> None:
    """What a detector leaves in the state means something else where one of them differs."""
    others = [version_of(version="2"), version_of(DetectConfig(score="other")), version_of(STRICT)]
    assert len({version_of(), *others}) == 4
    assert version_of(DetectConfig(max_gap=1)) == version_of(DetectConfig(score="mean_square"))


def test_every_method_of_a_threshold_and_its_parameters_make_the_version() -> None:
    thresholds = [
        ThresholdConfig(),
        ThresholdConfig(method="mean_sd"),
        ThresholdConfig(method="mean_sd", standard_deviations=5),
        ThresholdConfig(method="fixed", value=3),
        ThresholdConfig(method="fixed", value=3.5),
        ThresholdConfig(method="pot"),
        ThresholdConfig(method="pot", quantile=0.9999),
    ]
    assert len({version_of(DetectConfig(threshold=one)) for one in thresholds}) == len(thresholds)


def test_a_percentile_has_the_version_that_it_had_before_there_were_methods() -> None:
    """Windows and incidents that an earlier release saved are this detector's own."""
    config = DetectConfig(threshold=ThresholdConfig(quantile=0.999))
    assert version_of(config) == sha256(b"1:mean_square:0.999").hexdigest()[:16]


def test_a_labelled_value_is_part_of_the_version() -> None:
    """A model trained again on other labels begins anew, though its network may be the same."""
    config = DetectConfig(threshold=ThresholdConfig(method="labelled"))
    versions = {
        Detector(
            replace(SPEC, labelled_thresholds={"mean_square": {"youden": value}}),
            MeanSquareScorer(),
            config,
            1,
        ).version
        for value in (1.0, 2.0)
    }
    assert len(versions) == 2


@pytest.mark.parametrize(
    "found", [{}, {"other": {"youden": 1.0}}, {"mean_square": {"best_f1": 1.0}}], ids=str
)
def test_a_labelled_threshold_without_labels_is_refused_with_what_is_missing(
    found: dict[str, dict[Criterion, float]],
) -> None:
    spec = replace(SPEC, labelled_thresholds=found)
    config = DetectConfig(threshold=ThresholdConfig(method="labelled"))
    with pytest.raises(ConfigError, match=r"'labelled'.*'mean_square'.*\(youden\).*labels"):
        detector_parts(spec, config)


def test_scores_are_judged_by_the_detector_that_gave_them(
    make_pipeline: Callable[..., Pipeline], make_readings: Callable[..., ReadingBatch]
) -> None:
    """Those of another are refused, and nothing is learnt from them. Control: its own are not."""
    pipeline, other = make_pipeline(), make_pipeline(STRICT)
    readings = make_readings(list(range(9)), ["a"] * 9, np.zeros((9, F)))
    scored = pipeline.score(pipeline.assemble(readings))
    assert scored.detector == pipeline.detector.version
    with pytest.raises(LookupError, match=f"detector {other.detector.version}, loaded is "):
        pipeline.decide(replace(scored, detector=other.detector.version), NOW)
    [row] = pipeline.store.index.used().tolist()
    assert pipeline.detector.threshold.state["pending"][row] == 0
    pipeline.decide(scored, NOW)
    assert pipeline.detector.threshold.state["pending"][row] == 2


def test_tracking_that_is_set_is_refused_where_nothing_is_tracked() -> None:
    """Control: unset, or where a score is tracked, it is accepted."""
    usual = UsualResiduals(**dict.fromkeys(("variance", "bias", "level"), np.zeros((1, F))))
    tracked = replace(SPEC, tracking={"mean_square": usual})
    slow = TrackingConfig(readings=96)
    detector_parts(SPEC, DetectConfig())
    detector_parts(tracked, DetectConfig(tracking=slow))
    with pytest.raises(
        ConfigError, match=r"detect.tracking: .*readings 96.*'mean_square' does not"
    ):
        detector_parts(SPEC, DetectConfig(tracking=slow))
    with pytest.raises(ValueError, match=r"tracking: .*readings 96.*of profile univariate does"):
        DetectConfig(profile="univariate", tracking=slow)
    with pytest.raises(ValueError, match=r"tracking: .*readings 96.*likelihood does not use"):
        DetectConfig(threshold=ThresholdConfig(method="likelihood"), tracking=slow)


def test_a_score_without_calibration_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"detect.score: found 'last_step', .*\['mean_square'\]"):
        Detector(SPEC, MeanSquareScorer(), DetectConfig(score="last_step"))
