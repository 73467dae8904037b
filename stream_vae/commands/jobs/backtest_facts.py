"""What the report of a backtest tells beside its figures: model, data, and how to read them."""

from stream_vae.core.model_spec import ModelSpec
from stream_vae.core.verdicts import Verdict
from stream_vae.detect.rates import Rates, realised_rates
from stream_vae.edges.files.csv_readings import CsvReadings
from stream_vae.edges.files.label_files import Labels
from stream_vae.evaluate.backtest import Measurement
from stream_vae.evaluate.history import History
from stream_vae.evaluate.labelled import UNLABELLED, LabelledRows
from stream_vae.evaluate.report import DataFacts, ModelFacts
from stream_vae.models.bundle import Bundle
from stream_vae.pipeline.detector import score_name
from stream_vae.pipeline.pipeline import Pipeline
from stream_vae.settings import Settings


def model_facts(model: Bundle, settings: Settings, pipeline: Pipeline) -> ModelFacts:
    """Return what the report tells of model, score and threshold."""
    spec = model.spec
    return ModelFacts(
        id=spec.id,
        version=spec.version,
        trained_at=spec.trained_at.isoformat(),
        score=score_name(spec, settings.detect),
        threshold=pipeline.detector.method,
        window_length=spec.window_length,
        step_seconds=spec.step_seconds,
        features=tuple(feature.name for feature in spec.features),
    )


def realised(history: History, spec: ModelSpec) -> Rates:
    """Return the rates of alarms that came about."""
    return realised_rates(
        judged=int(history.is_judged.sum()),
        anomalous=int((history.verdict == Verdict.ANOMALOUS).sum()),
        opened=len(history.incidents),
        step_s=spec.step_seconds,
    )


def data_facts(readings: CsvReadings, labelled: LabelledRows, what: str) -> DataFacts:
    """Return what the report tells of the input; `what` one of its readings is called."""
    return DataFacts(
        files=tuple(map(str, readings.paths)),
        readings=len(readings),
        series=len(set(readings.series)),
        evaluated=len(labelled),
        anomalous=int(labelled.is_anomalous.sum()),
        without_score=int((~labelled.is_judged).sum()),
        spans=len(labelled.spans),
        what=what,
    )


def notes(labels: Labels, labelled: LabelledRows, how: Measurement) -> list[str]:
    """Return what must be known to read the figures."""
    notes = [
        "best F1 is at the cut that the labels themselves would choose: what a threshold could "
        f"reach, not what one does; VUS-PR with buffers up to {how.window_length} readings"
    ]
    if how.point_adjusted:
        notes.append("point-adjusted F1 is inflated: random scores reach high values")
    unlabelled = int((labels.values == UNLABELLED).sum())
    if unlabelled:
        notes.append(f"{unlabelled:,} readings have no label and are not evaluated")
    without = int((~labelled.is_judged).sum())
    if without:
        notes.append(f"{without:,} evaluated readings have no score and are not ranked")
    if labels.spans_without_reading:
        notes.append(f"{labels.spans_without_reading:,} labelled spans hold no reading")
    return notes
