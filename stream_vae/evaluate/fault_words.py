"""What trials with injected faults say, in words."""

from collections.abc import Iterator

from stream_vae.core.excerpts import printable
from stream_vae.evaluate.injection import DURATIONS
from stream_vae.models.provenance import FaultKind, FaultSizes, FaultTrials, MethodTrial

_NORMAL = 1.959964
_TOO_SHORT_WEEKS = 1.0


def poisson_interval(count: int) -> tuple[float, float]:
    """Return the 95 % interval of the mean of which a count was seen.

    >>> [round(bound, 1) for bound in poisson_interval(4)]
    [1.1, 10.2]

    References:
        Byar's approximation, in Breslow & Day (1987), Statistical Methods in Cancer Research II,
        p. 69.
    """

    def bound(n: int, z: float) -> float:
        return float(n * (1 - 1 / (9 * n) + z / (3 * n**0.5)) ** 3) if n else 0.0

    return bound(count, -_NORMAL), bound(count + 1, _NORMAL)


def verdicts(trials: FaultTrials, *, is_apart: bool = False) -> Iterator[tuple[str, str]]:
    """Yield what a person should know first, each with a title.

    Args:
        trials: What was found.
        is_apart: Whether the readings are the normal ones of a history that has others too, judged
            without those.
    """
    title = "false incidents, normal ones judged apart" if is_apart else "false incidents"
    yield title, false_incidents(trials)
    if trials.why_none:
        yield "injected faults", f"none: {trials.why_none}"
        return
    yield (
        "injected faults found",
        f"{trials.methods[0].found} of {trials.mixed} of mixed kinds and sizes, small ones too "
        "(from which size on nearly all are: see the smallest below); found: an "
        f"incident opens within {trials.within} {_noun(trials)} of its start, and none does "
        "without the fault",
    )
    if len(trials.methods) > 1:
        yield "beside simpler methods", _comparison(trials)


def false_incidents(trials: FaultTrials) -> str:
    """Return the rate of incidents in the readings as they were, and how sure it is."""
    count = f"{trials.false_incidents:,}" if trials.false_incidents else "none"
    if not trials.readings:
        return "not known: no held-out reading fills a window"
    if trials.weeks is None:
        return f"{count} in {trials.readings:,} held-out records"
    low, high = (bound / trials.weeks for bound in poisson_interval(trials.false_incidents))
    found = f"{count} in {trials.readings:,} held-out readings ({_number(trials.weeks)} weeks)"
    if not trials.false_incidents:
        found += f": fewer than {_number(high)} per series and week (95 %)"
    else:
        rate = trials.false_incidents / trials.weeks
        found += f": {_number(rate)} per series and week (95 %: {_number(low)} to {_number(high)})"
    if trials.weeks < _TOO_SHORT_WEEKS:
        found += "; too short a stretch for a good estimate"
    return found


def _comparison(trials: FaultTrials) -> str:
    """Return whether the detector finds more than the best of the others; paired, two errors."""
    ours, *others = trials.methods
    best = max(others, key=lambda one: (one.found, one.average_precision or 0.0))
    counts = f"{ours.found} and {best.found} of {trials.mixed} faults"
    only_ours = ours.found - (best.found - best.only_here)
    error = 2 * (only_ours + best.only_here) ** 0.5
    if ours.found - best.found > error:
        return f"finds more than the best of them, {best.name}: {counts}"
    if best.found - ours.found > error:
        what = "another window_length (train --search)" if trials.weeks else "train --search"
        return (
            f"{best.name} finds more: {counts}; consider a longer history, {what}, or another score"
        )
    return (
        f"no better than {best.name} on this data: {counts}; consider a longer history or "
        f"train --search, if these are the faults that matter"
    )


def _noun(trials: FaultTrials) -> str:
    """Return what a model judges: records if they stand for no time."""
    return "records" if trials.weeks is None else "readings"


def smallest_of(trials: FaultTrials) -> tuple[list[FaultKind], list[tuple[str, list[str]]]]:
    """Return the kinds, and for each feature the smallest size of each of which 9 of 10 are found.

    Sizes are in words; "" where a kind was not tried.
    """
    kinds = list(dict.fromkeys(one.fault for one in trials.sizes))
    found: dict[str, dict[FaultKind, str]] = {}
    for one in trials.sizes:
        found.setdefault(one.feature, {})[one.fault] = _size(one, _noun(trials))
    return kinds, [
        (printable(feature), [of.get(kind, "") for kind in kinds]) for feature, of in found.items()
    ]


def sizes_title(trials: FaultTrials) -> str:
    """Return what the sizes are."""
    share = "nine of ten" if trials.each >= 10 else f"all of {trials.each}"
    tried = len({one.feature for one in trials.sizes})
    of = f", {tried} of {trials.features} features" if tried < trials.features else ""
    largest = " or ".join(
        f"{one.largest:g} {unit}"
        for unit, one in {
            _noun(trials) if one.fault in DURATIONS else "sd": one for one in trials.sizes
        }.items()
    )
    return (
        f"Smallest fault of which {share} are found, in standard deviations of the training data "
        f"or in {_noun(trials)}; none: so many of the largest size, {largest}{of}"
    )


def method_cells(trials: FaultTrials) -> list[tuple[str, ...]]:
    """Return of each method its name, share found, average precision and false incidents."""
    return [_cells(one, trials) for one in trials.methods]


METHOD_TITLES = ("method", "faults found", "average precision", "false incidents")


def _cells(one: MethodTrial, trials: FaultTrials) -> tuple[str, ...]:
    name = one.name or f"stream-vae, {trials.score}"
    precision = "-" if one.average_precision is None else f"{one.average_precision:.3f}"
    return name, f"{one.found} of {trials.mixed}", precision, f"{one.false_incidents:,}"


def _number(value: float) -> str:
    return f"{value:.2g}" if value < 100 else f"{value:,.0f}"


def _size(one: FaultSizes, noun: str) -> str:
    if one.smallest is None:
        return f"none: {one.largest_found} of {one.largest_tried}"
    return f"{one.smallest:g} {noun if one.fault in DURATIONS else 'sd'}"
