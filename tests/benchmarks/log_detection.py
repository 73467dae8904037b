"""What settings find in counts of log lines: `python -m tests.benchmarks.log_detection`.

Of each log, minutes are counted: two days to train on, a day and a half of two series to calibrate
and to watch what is false, and as many with faults in them, of a kind every 80 minutes. Those
of OpenSSH are no stretch of the log: they are ten-minute pieces of it, chosen at random, one as
often as it comes (needs --data-dir); the others are made.
The network is small and shortly trained (`_TRAINING`), once for each of --seeds; the table sums up.
"""

import argparse
import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from stream_vae.core.model_spec import Feature, Scores
from stream_vae.evaluate.fault_trials import HeldOut, Method, replay
from stream_vae.inputs.log_lines.line_counts import with_kinds
from stream_vae.logs.even_counts import are_even
from stream_vae.models.bundle import Bundle
from stream_vae.models.device import limit_threads
from stream_vae.models.scoring import WindowScorer
from stream_vae.models.training.train import train
from stream_vae.models.training.training_windows import TrainingSeries
from stream_vae.settings import Settings, load_settings

Counts = NDArray[np.float64]
"""(minutes, F) lines of each template, then of none, then of all."""

_DAY, _BLOCK, _MINUTE_NS = 1440, 10, 60 * 10**9
_EVERY, _FIRST, _LASTS = 80, 120, 40
_TRAINING: dict[str, object] = {
    "input.format": "log_lines",
    "model.hidden_size": 16,
    "training.epochs": 3,
    "training.min_steps": 200,
    "training.batch_size": 64,
    "training.combined": "last_step + recency",
}
_JUDGED = (
    ("worst_feature", "percentile", 0.999, 1),
    ("worst_feature", "percentile", 0.995, 1),
    ("worst_feature", "pot", 0.999, 1),
    ("last_step", "percentile", 0.999, 1),
    ("log_probability", "percentile", 0.98, 2),
    ("fused", "percentile", 0.999, 1),
    ("combined", "percentile", 0.999, 1),
)
"""Score, threshold method, quantile, `open_after`."""


# Logs


def _with_sums(counts: Counts) -> Counts:
    """Return counts of templates beside those of unseen lines, none, and of all lines."""
    return np.column_stack([counts, np.zeros(len(counts)), counts.sum(axis=1)])


def _open_ssh(folder: Path) -> Callable[[np.random.Generator, int], Counts]:
    """Return what draws pieces of a real log, by the templates that were found by hand."""
    with (folder / "OpenSSH" / "OpenSSH_2k.log_structured.csv").open(encoding="utf-8") as file:
        rows = [(row["Time"], row["EventId"]) for row in csv.DictReader(file)]
    names = sorted({event for _, event in rows})
    minutes = [60 * int(time[:2]) + int(time[3:5]) for time, _ in rows]
    n_blocks = (minutes[-1] - minutes[0]) // _BLOCK
    counted = np.zeros((minutes[-1] - minutes[0] + 1, len(names)))
    for minute, (_, event) in zip(minutes, rows, strict=True):
        counted[minute - minutes[0], names.index(event)] += 1
    blocks = counted[: n_blocks * _BLOCK].reshape(n_blocks, _BLOCK, -1)

    def draw(rng: np.random.Generator, minutes: int) -> Counts:
        return _with_sums(np.concatenate(blocks[rng.integers(n_blocks, size=minutes // _BLOCK)]))

    return draw


def _service(rng: np.random.Generator, minutes: int) -> Counts:
    """Draw 20 templates, from three lines a day to twelve a minute, by a load, and six beats."""
    rates = np.geomspace(0.002, 12, 20)
    load = 1 + 0.5 * np.sin(2 * np.pi * np.arange(minutes) / _DAY)
    lines = rng.poisson((load * rng.gamma(20, 1 / 20, minutes))[:, None] * rates)
    beats = 6 + rng.choice([-1, 0, 1], p=[0.05, 0.9, 0.05], size=(minutes, 1))
    return _with_sums(np.column_stack([lines, beats]))


# Faults


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fault:
    """One kind.

    `into(values, usual, rng)` changes (steps, F) counts of a log in place.
    """

    name: str
    steps: int
    into: Callable[[Counts, Counts, np.random.Generator], None]


def _unseen(n: int) -> _Fault:
    def into(values: Counts, _usual: Counts, _rng: np.random.Generator) -> None:
        values[0, -2:] += n

    return _Fault(name=f"{n} unseen", steps=1, into=into)


def _times(factor: float, steps: int, *, least: float) -> _Fault:
    """A template of so many lines a minute or more, or one of the three with most, changes."""

    def into(values: Counts, usual: Counts, rng: np.random.Generator) -> None:
        mean = usual[:, :-2].mean(axis=0)
        most = np.argsort(-mean)
        one = int(rng.choice(most[: max(3, np.count_nonzero(mean >= least))]))
        _change(values, one, rng.poisson((factor - 1) * values[:, one]) if factor else None)

    name = f"x{factor:g}, {steps} min" if factor else f"gone {steps} min"
    return _Fault(name=name, steps=steps, into=into)


def _steadiest_gone(values: Counts, usual: Counts, _rng: np.random.Generator) -> None:
    """Of the templates with a line a minute or more, or of the three with most, a heartbeat."""
    mean, spread = usual[:, :-2].mean(axis=0), usual[:, :-2].std(axis=0)
    most = np.argsort(-mean)[: max(3, np.count_nonzero(mean >= 1))]
    _change(values, int(most[np.argmin(spread[most] / mean[most])]), None)


def _change(values: Counts, one: int, added: NDArray[np.int64] | None) -> None:
    """Add lines of a template, or take all of them away."""
    more = -values[:, one] if added is None else added
    values[:, one] += more
    values[:, -1] += more


def _too_many(values: Counts, usual: Counts, rng: np.random.Generator) -> None:
    mean = usual.mean(axis=0)
    one = int(rng.integers(len(mean) - 2))
    values[0, [one, -1]] += 10 + 4 * round(mean[one])


_FAULTS = (
    _unseen(5),
    _unseen(40),
    _Fault(name="too many", steps=1, into=_too_many),
    _times(0, 3, least=3),
    _times(0, 10, least=1),
    _Fault(name="steadiest gone 10 min", steps=10, into=_steadiest_gone),
    _times(1.5, _LASTS, least=1),
    _times(2, _LASTS, least=1),
)


def _faulted(usual: HeldOut, rng: np.random.Generator) -> tuple[HeldOut, NDArray[np.int64]]:
    """Return the history with faults, kind after kind, and the rows where they begin."""
    values = usual.values.copy()
    ranges = zip(usual.bounds[:-1].tolist(), usual.bounds[1:].tolist(), strict=True)
    places = np.concatenate(
        [np.arange(begin + _FIRST, end - _EVERY, _EVERY) for begin, end in ranges]
    )
    for nth, at in enumerate(places.tolist()):
        fault = _FAULTS[nth % len(_FAULTS)]
        fault.into(values[at : at + fault.steps], usual.values, rng)
    return _history(values, len(usual.bounds) - 1), places


# Trials


class _Remembered:
    """A scorer that scores a history once, and then tells the same again."""

    def __init__(self, scorer: WindowScorer) -> None:
        self._scorer, self._next = scorer, 0
        self._found: list[Scores] = []

    def again(self) -> "_Remembered":
        """Return itself, at the beginning of the history."""
        self._next = 0
        return self

    def score(self, values: NDArray[np.float64], end_times: NDArray[np.int64]) -> Scores:
        """Score windows."""
        if self._next == len(self._found):
            self._found.append(self._scorer.score(values, end_times))
        self._next += 1
        return self._found[self._next - 1]


def _history(values: Counts, n_series: int) -> HeldOut:
    return HeldOut(
        times=(np.arange(len(values)) + 10 * _DAY) * _MINUTE_NS,
        values=values,
        is_anomalous=np.zeros(len(values), np.bool_),
        bounds=np.linspace(0, len(values), n_series + 1).astype(np.int64),
    )


def _train(counts: Counts, settings: Settings) -> Bundle:
    names = [*(f"template-{n}" for n in range(counts.shape[1] - 2)), "unseen", "lines"]
    features = [Feature(name=name, unit="lines", kind="count") for name in names]
    return train(
        [
            TrainingSeries(
                key="a", times=np.arange(len(counts)) * _MINUTE_NS, values=counts, labels=None
            )
        ],
        features=list(with_kinds(features, are_even(counts, ["a"] * len(counts)))),
        step_seconds=60.0,
        architecture=settings.model.architecture,
        training=settings.training,
        model_id="benchmark",
        now=datetime(2026, 11, 1, tzinfo=UTC),
    ).bundle


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """What one way to judge told of a history, and of the same with faults."""

    false: float
    """Incidents a day and series without a fault."""
    after: NDArray[np.int64]
    """Steps from each fault, kind after kind, to the next incident that opens."""

    def told(self, kind: int) -> NDArray[np.int64]:
        """Return after how many steps the faults of a kind were told that were so in time.

        That is while they lasted, or a step later.
        """
        after = self.after[kind :: len(_FAULTS)]
        return after[after <= _FAULTS[kind].steps] + 1

    def faults(self, kind: int) -> int:
        """Return how many faults of a kind there were."""
        return len(self.after[kind :: len(_FAULTS)])


def _judge(bundle: Bundle, usual: HeldOut, seed: int) -> Iterator[_Judged]:
    """Yield what each way to judge tells."""
    faulted, places = _faulted(usual, np.random.default_rng(seed))
    days = len(usual) / _DAY
    scorers = {
        (score, which): _Remembered(WindowScorer(bundle, score=score, device="cpu"))
        for score in dict.fromkeys(score for score, *_ in _JUDGED)
        for which in ("usual", "faulted")
    }
    for score, method, quantile, open_after in _JUDGED:
        given = {
            "detect.score": score,
            "detect.threshold.method": method,
            "detect.threshold.quantile": quantile,
            "detect.incident.open_after": open_after,
        }
        config = load_settings(overrides=given, environ={}).settings.detect

        def opened(which: str, history: HeldOut) -> NDArray[np.int64]:
            scorer = scorers[score, which].again()  # noqa: B023 -- called at once
            method = Method(spec=bundle.spec, scorer=scorer, config=config)  # noqa: B023
            return replay(method, history, np.empty(0, np.int64)).opened

        starts = np.append(opened("faulted", faulted), np.iinfo(np.int64).max)
        yield _Judged(
            false=len(opened("usual", usual)) / days,
            after=starts[np.searchsorted(starts, places)] - places,
        )


def _row(found: Sequence[_Judged]) -> Iterator[str]:
    """Yield what one way to judge told in all trials: false ones, and the faults of each kind."""
    yield f"{np.mean([one.false for one in found]):.1f}"
    for kind in range(len(_FAULTS)):
        told = np.concatenate([one.told(kind) for one in found])
        median = f", {np.median(told):g}" if len(told) else ""
        yield f"{len(told)} of {sum(one.faults(kind) for one in found)}{median}"


def _trial(
    draw: Callable[[np.random.Generator, int], Counts], settings: Settings, seed: int
) -> list[_Judged]:
    """Train on a log and return what each way to judge tells of it."""
    rng = np.random.default_rng(seed)
    bundle = _train(draw(rng, 2 * _DAY), settings)
    usual = _history(np.concatenate([draw(rng, 3 * _DAY // 2) for _ in range(2)]), 2)
    return [*_judge(bundle, usual, seed)]


def main() -> None:
    """Print a table for each log."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, help="of Loghub's systems, for OpenSSH")
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    arguments = parser.parse_args()
    limit_threads(1)
    settings = load_settings(overrides=_TRAINING, environ={}).settings
    logs = {} if arguments.data_dir is None else {"OpenSSH": _open_ssh(arguments.data_dir)}
    logs["a service"] = _service
    for name, draw in logs.items():
        trials = [_trial(draw, settings, seed) for seed in range(arguments.seeds)]
        table = Table(
            *("score", "threshold", "open_after", "false a day"),
            *(fault.name for fault in _FAULTS),
            title=f"{name}: faults found, and with which step in the median",
        )
        for judged, found in zip(_JUDGED, zip(*trials, strict=True), strict=True):
            score, method, quantile, open_after = judged
            table.add_row(score, f"{method} {quantile:g}", str(open_after), *_row(found))
        Console(width=180).print(table)


if __name__ == "__main__":
    main()
