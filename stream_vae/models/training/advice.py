"""Advice on training data: what a person should know or change before trusting the model."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.durations import describe_duration
from stream_vae.core.excerpts import printable
from stream_vae.core.model_spec import Feature
from stream_vae.core.residuals import UsualResiduals
from stream_vae.models.config import ENOUGH_WINDOWS, ArchitectureConfig, TrainingConfig, rows_wanted
from stream_vae.models.provenance import TrimmedSpan
from stream_vae.models.training.reports import Advice, EpochReport
from stream_vae.models.training.rhythm import Rhythm, find_rhythms
from stream_vae.models.training.training_windows import TrainingSeries
from stream_vae.models.training.trim import Trim

_NEAR_CONSTANT = 0.99
"""Share of the commonest value."""
_MANY_GAPS = 0.05
_MOSTLY_GAPS = 0.5
GRAVE = 0.25
"""Share of the rows that would do, below which what alerts say is not to be relied on."""
_FEWEST_CHANGES = 20
_MOST_RESETS = 0.01
"""Of a counter's changes."""
_SHORTEST_WINDOW = 4
"""Steps in which there is an order to be learnt."""
_LISTED_SPANS = 5
_SAME = 0.01
"""Nats per value."""
_UNUSED_LATENT = 0.01
"""KL, nats per value."""


def advise_on_data(
    series: Sequence[TrainingSeries],
    *,
    features: Sequence[Feature],
    step_ns: int,
    window_length: int,
    training: TrainingConfig,
) -> tuple[Advice, ...]:
    """Return what the history itself tells, its rhythms apart.

    Args:
        series: On the step grid.
        features: F, in the order of the series' columns.
        step_ns: Width of the grid.
        window_length: T.
        training: How the series are cut.
    """
    return (
        *advise_on_gaps(series, step_ns),
        *advise_on_constants(series, features),
        *advise_on_counters(series, features),
        *advise_on_length(series, window_length, training),
    )


def advise_on_gaps(series: Sequence[TrainingSeries], step_ns: int) -> Iterator[Advice]:
    """Yield the share of missing steps and the longest gap, if a step is missing."""
    steps = [int((one.times[-1] - one.times[0]) // step_ns) + 1 for one in series if len(one.times)]
    missing = sum(steps) - sum(len(one.times) for one in series)
    if not missing:
        return
    share = missing / sum(steps)
    longest, key, at = max(_longest_gap(one, step_ns) for one in series)
    text = f"{share:.2%} of the steps are missing; the longest gap is {longest:,} steps from {at}"
    widths = np.concatenate([np.diff(one.times) for one in series])
    wider = float(np.median(widths)) / 1e9
    if share > _MOSTLY_GAPS and wider * 1e9 > step_ns:
        text += f": a step of {step_ns / 1e9:g} s is too fine, try --step-seconds {wider:g}"
    elif share > _MANY_GAPS:
        text += ": more than one step in twenty; a wider --step-seconds has fewer"
    yield Advice(kind="gaps", text=text, series=key)


def _longest_gap(one: TrainingSeries, step_ns: int) -> tuple[int, str, str]:
    missing = np.diff(one.times) // step_ns - 1
    if not len(missing):
        return 0, one.key, ""
    at = int(np.argmax(missing))
    return int(missing[at]), one.key, _time(int(one.times[at]))


def _time(ns: int) -> str:
    return f"{np.datetime64(ns // 10**9, 's')}Z"


def advise_on_constants(
    series: Sequence[TrainingSeries], features: Sequence[Feature]
) -> Iterator[Advice]:
    """Yield features that never change, or hold one value for 99 % of what was observed."""
    for f, feature in enumerate(features):
        values = np.concatenate([one.values[:, f] for one in series])
        observed = values[np.isfinite(values)]
        if not len(observed):
            continue
        distinct, counts = np.unique(observed, return_counts=True)
        share, usual = counts.max() / len(observed), float(distinct[np.argmax(counts)])
        if len(distinct) == 1:
            text = f"always {usual:g}: it carries no information; leave it out with --ignore"
            yield Advice(kind="constant", text=text, feature=feature.name)
        elif share >= _NEAR_CONSTANT and feature.kind == "numeric":
            text = (
                f"{usual:g} in {share:.1%} of its values: any other scores very high; drop it "
                "unless that is what is to be found"
            )
            yield Advice(kind="near_constant", text=text, feature=feature.name)


def advise_on_counters(
    series: Sequence[TrainingSeries], features: Sequence[Feature]
) -> Iterator[Advice]:
    """Yield features that only rise, or only fall, but for a rare reset.

    Each value of such a feature is soon beyond all that training has seen.
    """
    for f, feature in enumerate(features):
        if feature.kind not in {"numeric", "count"}:
            continue
        changes = np.concatenate([_changes(one.values[:, f]) for one in series])
        rises, falls = int((changes > 0).sum()), int((changes < 0).sum())
        back = min(rises, falls)
        if rises + falls < _FEWEST_CHANGES or back > _MOST_RESETS * (rises + falls):
            continue
        if back and not _are_resets(changes):
            continue
        way = "rises" if rises > falls else "falls"
        resets = f" but for {back:,} resets" if back else ""
        text = (
            f"only {way}{resets}: a counter or the number of a row, soon beyond all that was seen "
            f"in training; take its rate: --rule {printable(feature.name)}=rate, or leave it out: "
            "--ignore"
        )
        yield Advice(kind="counter", text=text, feature=feature.name)


def _changes(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the differences other than 0 between observed values."""
    changes = np.diff(values[np.isfinite(values)] / 2)  # halves: no difference overflows
    return np.asarray(changes[changes != 0])


def _are_resets(changes: NDArray[np.float64]) -> bool:
    """Return whether the rarer direction's smallest step is above all usual ones of the other."""
    rises, falls = changes[changes > 0], -changes[changes < 0]
    rare, usual = (falls, rises) if len(falls) < len(rises) else (rises, falls)
    return bool(rare.min() > np.quantile(usual, 0.99))


def uses_calendar(
    architecture: ArchitectureConfig, rhythms: Sequence[Rhythm], *, step_ns: int
) -> bool:
    """Return whether calendar inputs are used; `auto` uses them if a rhythm outlasts the window.

    That is one of a day or a week: those are what the calendar tells.
    """
    if architecture.calendar != "auto":
        return architecture.calendar
    return bool(_beyond_window(rhythms, architecture.window_length * step_ns))


def resolved(
    architecture: ArchitectureConfig, series: Sequence[TrainingSeries], *, step_ns: int
) -> tuple[ArchitectureConfig, tuple[Rhythm, ...]]:
    """Return the architecture with `calendar` decided, and the rhythms that decided it."""
    rhythms = find_rhythms(series, step_ns)
    decided = uses_calendar(architecture, rhythms, step_ns=step_ns)
    return replace(architecture, calendar=decided), rhythms


def _beyond_window(rhythms: Sequence[Rhythm], window_ns: int) -> list[Rhythm]:
    return [one for one in rhythms if one.kind != "other" and one.period_ns > window_ns]


def advise_on_rhythms(
    rhythms: Sequence[Rhythm],
    features: Sequence[Feature],
    *,
    step_ns: int,
    architecture: ArchitectureConfig,
) -> Iterator[Advice]:
    """Yield the rhythms found, and what is or could be done with them."""
    for one in rhythms:
        name = {"day": "daily", "week": "weekly", "other": "neither daily nor weekly"}[one.kind]
        period = f"{one.period_ns / step_ns:,.0f} steps ({describe_duration(one.period_ns / 1e9)})"
        text = (
            f"{name}, {period}, in {len(one.features)} of the features looked at "
            f"(strength {one.strength:.2f} of 2)"
        )
        yield Advice(kind="rhythm", text=text, feature=features[one.features[0]].name)
    window = architecture.window_length
    beyond = _beyond_window(rhythms, window * step_ns)
    if architecture.calendar == "auto":
        used = "used" if beyond else "not used: no daily or weekly rhythm longer than the window"
        yield Advice(kind="calendar", text=f"calendar inputs are {used}")
    elif beyond and not architecture.calendar:
        text = f"a window of {window} steps cannot see it: try model.calendar: auto"
        yield Advice(kind="calendar", text=text)


def advise_on_length(
    series: Sequence[TrainingSeries], window_length: int, training: TrainingConfig
) -> Iterator[Advice]:
    """Yield a history that holds few windows, and what would be enough."""
    rows = sum(len(one.times) for one in series)
    share = 1 - training.validation_fraction - training.calibration_fraction
    needed = rows_wanted(window_length, training)
    if rows < needed:
        shorter = int(rows * share / ENOUGH_WINDOWS)
        instead = f", or a window_length of {shorter}" if shorter >= _SHORTEST_WINDOW else ""
        text = (
            f"{rows:,} records in all are few: {needed:,} would do; a hidden_size of 16 suits few"
        )
        if window_length > 1:
            text = (
                f"{rows:,} rows in all are few for a window_length of {window_length}: {needed:,} "
                f"would do{instead}; a hidden_size of 16 suits few rows"
            )
        yield Advice(kind="short_history", text=text, is_grave=rows < GRAVE * needed)


def advise_on_trimming(spans: Sequence[TrimmedSpan], *, asked: Trim) -> Iterator[Advice]:
    """Yield the windows that the model was refitted without, and when they were."""
    if not spans:
        if asked == "auto":
            yield Advice(kind="trimmed", text="no training window scored far above the others")
        return
    longest = sorted(spans, key=lambda one: -one.windows)[:_LISTED_SPANS]
    times = "; ".join(
        f"{one.series or 'all'} {_time(one.start_ns)} to {_time(one.end_ns)}" for one in longest
    )
    rest = len(spans) - len(longest)
    more = f" and {rest} more" if rest else ""
    count = sum(one.windows for one in spans)
    text = (
        f"refitted without the {count:,} worst-scored training windows: {times}{more}; drop those "
        "rows if they are no normal operation"
    )
    yield Advice(kind="trimmed", text=text)


def advise_on_likelihood(
    *, model: float, constant: float, history: Sequence[EpochReport], folds: int = 0
) -> Iterator[Advice]:
    """Yield a model that is no better than a constant, and the next step.

    Args:
        model: Held-out log-likelihood, nats per value.
        constant: That of a constant model on the same windows.
        history: Of the training.
        folds: Blocks that were held out in turn, if the history is of all rows.
    """
    if model > constant + _SAME:
        return
    best = next(report for report in reversed(history) if report.is_best)
    if folds:
        step = (
            "what is learnt of some rows does not hold for the others: a longer history is needed"
        )
    elif _improves(history):
        step = "it was still improving at the last epoch: raise training.epochs or min_steps"
    elif best.kl < _UNUSED_LATENT:
        step = "its latent is unused: raise training.free_bits to 0.1, or lower training.beta"
    else:
        step = "try other settings with train --search 8; if none helps, it may be noise"
    text = (
        f"the network by itself, {model:.3f} against {constant:.3f} nats per value (the score "
        f"fused has other members too): {step}"
    )
    yield Advice(kind="no_better_than_constant", text=text, is_grave=True)


def _improves(history: Sequence[EpochReport]) -> bool:
    """Return whether the last epoch of all was better than those before by more than noise."""
    *before, last = history
    if not last.is_best or len(history) < last.epochs:
        return False
    return all(
        last.validation_log_likelihood > one.validation_log_likelihood + _SAME for one in before
    )


def advise_on_members(names: Sequence[str], usual: UsualResiduals | None) -> Iterator[Advice]:
    """Yield members that the score `fused` leaves out.

    Args:
        names: Of the K members, the network first.
        usual: Of the score; None if there is no such score.
    """
    if usual is None:
        return
    for name, ratio, is_useful in zip(names, usual.against_constant, usual.is_useful, strict=True):
        if not is_useful:
            text = (
                f"{name} misses held-out windows by {ratio:.2f} times the squared error of a "
                "constant: it would only add noise, and the score fused is made without it"
            )
            yield Advice(kind="left_out_of_fused", text=text)
