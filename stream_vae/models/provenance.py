"""How a model came to be; nothing of it is needed for scoring."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le

from stream_vae.models.config import TrainingConfig

_Count = Annotated[int, Ge(0), Le(2**63 - 1)]
_Nanoseconds = Annotated[int, Ge(-(2**63)), Le(2**63 - 1)]
"""Since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrimmedSpan:
    """Windows that were dropped and overlap, as one span of time."""

    series: str
    start_ns: _Nanoseconds
    end_ns: _Nanoseconds
    """Start of the newest step."""
    windows: _Count


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """The settings of one trial of a search."""

    window_length: _Count
    hidden_size: _Count
    latent_size: _Count
    score: str | None
    """None: the one that `auto` stands for."""
    members: str | None = None
    """Of `fused`; None: as `training.members` says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One trial; without results if it did not end in time."""

    candidate: Candidate
    log_likelihood: float | None = None
    """Evidence lower bound of the validation windows in nats per observed value: their sum over
    the number of observed values in all windows, so lengths can be compared."""
    calibration_error: float | None = None
    """Share of validation windows above the calibration part's 0.99 quantile, less 0.01; without
    its sign."""
    average_precision: float | None = None
    """On labelled validation rows, the same ones for all trials; each window has the label of its
    newest step."""
    is_kept: bool = False


FaultKind = Literal["spike", "level shift", "drift", "stuck value", "swap"]
"""What is injected; see `stream_vae.evaluate.injection`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultSizes:
    """How large a fault of one kind in one feature must be to be found."""

    feature: str
    fault: FaultKind
    smallest: float | None
    """Of which nine of ten are found; None if that is true of no size that was tried. In standard
    deviations of the training data; in readings of a stuck value or a swap."""
    largest: float
    """Size tried."""
    largest_tried: _Count
    """Faults of that size; few where they are enough to tell that it is not found."""
    largest_found: _Count


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodTrial:
    """One method on the same faults of mixed kinds and sizes."""

    name: str
    found: _Count
    """Faults found."""
    only_here: _Count = 0
    """Those of them that the detector did not find."""
    average_precision: float | None
    """Of the highest score of each faulted stretch against that of the same stretch as it was."""
    false_incidents: _Count
    """Opened in the stretches as they were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultTrials:
    """What a detector finds of faults injected into history that it was not fitted to."""

    score: str
    threshold: str
    """How the threshold is found."""
    within: _Count
    """A fault is found if an incident opens within so many readings of its start, and none does
    there without it."""
    each: _Count
    """Faults of each kind, feature and size."""
    readings: _Count
    """Judged, without a fault."""
    weeks: float | None
    """That they cover, of all series together; None of events, which stand for no time."""
    false_incidents: _Count
    """Opened in them."""
    features: _Count
    """Of the model."""
    sizes: tuple[FaultSizes, ...]
    """Of numeric features and counts, evenly spaced ones where there are many; empty where no
    stretch is long enough."""
    mixed: _Count
    """Faults of mixed kinds and sizes."""
    methods: tuple[MethodTrial, ...]
    """The detector first; the others under its score and threshold rule."""
    why_none: str = ""
    """Why nothing was injected; "" if something was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSummary:
    """Where a model comes from."""

    config: TrainingConfig
    data_sha256: str
    """Fingerprint of the training data: feature names, series keys, times, values, labels."""
    rows: _Count
    series: _Count
    epochs: _Count
    best_epoch: _Count
    validation_log_likelihood: float
    """Evidence lower bound, nats per observed value."""
    constant_log_likelihood: float
    """Of a constant model on the same windows, nats per observed value."""
    versions: dict[str, str]
    """Package -> version that trained it."""
    trimmed: tuple[TrimmedSpan, ...] = ()
    """What the model was refitted without."""
    folds: _Count = 0
    """Blocks that the calibration was cross-validated over; 0: it is of a held-out part."""
    search: tuple[Tried, ...] = ()
    """The trials that this model is the best of; empty without a search."""
    faults: FaultTrials | None = None
    """What it finds of injected faults; None if that was not tried."""
