"""One detection task of a data set: what to learn from, what to judge, and the settings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.model_spec import Feature
from stream_vae.detect.config import DetectConfig
from stream_vae.models.config import ArchitectureConfig, TrainingConfig
from stream_vae.models.training.training_windows import TrainingSeries

HELD_OUT = 0.2
"""Share of the training windows, at their end, that no detector is fitted to."""

Cut = Literal["held_out", "threshold", "two_groups", "training_labels"]
"""How a score is cut without a look at test labels: at a high quantile of held-out normal
windows; at the threshold with which the daemon begins a series, that quantile of a Pareto tail
fitted to them; where the training scores fall into two groups (Otsu 1979); or at the best F1 on
the training labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedWindows:
    """Windows and the times of their newest steps."""

    values: NDArray[np.float64]
    """(W, T, F) input units; NaN = not observed."""
    end_times: NDArray[np.int64]
    """(W,) nanoseconds since 1970."""

    def __len__(self) -> int:
        return len(self.values)

    def rows(self, rows: slice) -> "TimedWindows":
        """Return some of the windows."""
        return TimedWindows(values=self.values[rows], end_times=self.end_times[rows])


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSettings:
    """How a data set's detectors are trained and judged; never chosen on test labels."""

    architecture: ArchitectureConfig
    training: TrainingConfig
    scores: tuple[str, ...]
    """Of the model."""
    cut: Cut = "held_out"
    cut_factor: float = 1.0
    """The `held_out` cut lies this many times as far above the median of held-out scores as their
    quantile."""
    cut_quantile: float = 0.99
    """Of held-out scores."""
    prevalence: float | None = None
    """Share of anomalies at which precision and F1 are told; None: that of the test windows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherScores:
    """What a method that does not see windows says of the same windows."""

    method: str
    score: str
    test: NDArray[np.float64]
    """(B,) of the test windows; higher = more anomalous."""
    reference: NDArray[np.float64]
    """(W,) of training windows that it was not fitted to; they set the cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """B windows to judge, after learning from some series."""

    file: str
    """Which part of the data set."""
    series: tuple[TrainingSeries, ...]
    history: TimedWindows
    """Windows of the series, by time."""
    test: TimedWindows
    is_anomalous: NDArray[np.bool_]
    """(B,) labels of the test windows."""
    history_labels: NDArray[np.bool_] | None = None
    """(W,) labels of `history`, where the task gives them."""
    step_seconds: float
    settings: TaskSettings
    is_in_order: bool = False
    """Whether the test windows are those of one series in time, one step apart."""
    judged_from: int = 0
    """First test window that counts."""
    detect: DetectConfig | None = None
    """Of the detector that makes the cut; None where `settings.cut` does."""
    vus_buffer: int | None = None
    """Longest buffer of VUS-PR, rows; None where the data set is not judged by it."""
    others: tuple[OtherScores, ...] = ()
    """Baselines of this data set alone; they draw nothing."""

    @property
    def features(self) -> tuple[Feature, ...]:
        """Return the features, by number."""
        return tuple(Feature(name=f"f{n}") for n in range(self.test.values.shape[2]))

    @property
    def reference(self) -> TimedWindows:
        """Return the training windows whose scores set the cut."""
        if self.settings.cut not in {"held_out", "threshold"}:
            return self.history
        return self.history.rows(slice(round(len(self.history) * (1 - HELD_OUT)), None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A task that is not read yet; small enough to be sent to another process."""

    file: str
    """Which part of the data set."""
    read: Callable[[], Task]


def stream_task(  # noqa: PLR0913 - both parts, labels and their meaning
    file: str,
    *,
    train: NDArray[np.float64],
    test: NDArray[np.float64],
    is_anomalous: NDArray[np.bool_],
    step_seconds: float,
    settings: TaskSettings,
) -> Task:
    """Return the task of judging each row of a stream by the window that ends with it.

    The first T - 1 rows of the test part have no window and are left out for every detector.

    Args:
        file: Which part of the data set.
        train: (M, F) rows one step apart.
        test: (N, F) rows one step apart.
        is_anomalous: (N,)
        step_seconds: Between rows.
        settings: With the window length.
    """
    T, step_ns = settings.architecture.window_length, round(step_seconds * 1e9)
    times = np.arange(len(train), dtype=np.int64) * step_ns
    return Task(
        file=file,
        series=(TrainingSeries(key=file, times=times, values=train),),
        history=windows_of(train, times, T).rows(slice(None, None, settings.training.stride)),
        test=windows_of(test, np.arange(len(test), dtype=np.int64) * step_ns, T),
        is_anomalous=is_anomalous[T - 1 :],
        is_in_order=True,
        step_seconds=step_seconds,
        settings=settings,
    )


def windows_of(
    rows: NDArray[np.float64], times: NDArray[np.int64], window_length: int
) -> TimedWindows:
    """Return a view of every window of (N, F) rows; none if there are fewer than T."""
    if len(rows) < window_length:
        empty = np.empty((0, window_length, rows.shape[1]))
        return TimedWindows(values=empty, end_times=times[:0])
    view = np.lib.stride_tricks.sliding_window_view(rows, window_length, axis=0)
    return TimedWindows(values=view.transpose(0, 2, 1), end_times=times[window_length - 1 :])


def sequence_task(  # noqa: PLR0913 - both parts, labels and their meaning
    file: str,
    *,
    train: NDArray[np.float64],
    test: NDArray[np.float64],
    is_anomalous: NDArray[np.bool_],
    settings: TaskSettings,
    train_labels: NDArray[np.bool_] | None = None,
    others: tuple[OtherScores, ...] = (),
) -> Task:
    """Return the task of judging sequences or records, each a window of its own.

    They are laid into one series, a step apart where T = 1, else with a gap between them that no
    window may contain.

    Args:
        file: Which part of the data set.
        train: (W, T, F) in random order.
        test: (B, T, F)
        is_anomalous: (B,)
        settings: With the window length T.
        train_labels: (W,), where the task gives them.
        others: Baselines of the data set's own.
    """
    W, T, F = train.shape
    stride = T if T == 1 else T + 1
    starts = np.arange(W, dtype=np.int64) * stride
    steps = (starts[:, None] + np.arange(T)).reshape(-1)
    series = TrainingSeries(
        key=file,
        times=steps * _STEP_NS,
        values=train.reshape(W * T, F),
        labels=None if train_labels is None else np.repeat(train_labels, T),
    )
    return Task(
        file=file,
        series=(series,),
        history=TimedWindows(values=train, end_times=(starts + T - 1) * _STEP_NS),
        test=TimedWindows(
            values=test,
            end_times=(np.arange(len(test), dtype=np.int64) * stride + T - 1) * _STEP_NS,
        ),
        is_anomalous=is_anomalous,
        history_labels=train_labels,
        step_seconds=_STEP_NS / 1e9,
        settings=settings,
        others=others,
    )


def shuffled(
    windows: Sequence[NDArray[np.float64]] | NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return windows in random order."""
    together = np.asarray(windows)
    return together[rng.permutation(len(together))]


_STEP_NS = 10**9
"""Of data without times."""
