"""How a model came to be; nothing of it is needed for scoring."""

from dataclasses import dataclass

from stream_vae.models.config import TrainingConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class TrimmedSpan:
    """Windows that were dropped and overlap, as one span of time."""

    series: str
    start_ns: int
    end_ns: int
    """Start of the newest step."""
    windows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """The settings of one trial of a search."""

    window_length: int
    hidden_size: int
    latent_size: int
    score: str | None
    """None: the one that `auto` stands for."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSummary:
    """Where a model comes from."""

    config: TrainingConfig
    data_sha256: str
    """Fingerprint of the training data: feature names, series keys, times, values, labels."""
    rows: int
    series: int
    epochs: int
    best_epoch: int
    validation_log_likelihood: float
    """Evidence lower bound, nats per observed value."""
    constant_log_likelihood: float
    """Of a constant model on the same windows, nats per observed value."""
    versions: dict[str, str]
    """Package -> version that trained it."""
    trimmed: tuple[TrimmedSpan, ...] = ()
    """What the model was refitted without."""
    search: tuple[Tried, ...] = ()
    """The trials that this model is the best of; empty without a search."""
