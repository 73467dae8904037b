"""Settings of scores, tracking, thresholds, incidents and silence."""

from dataclasses import dataclass, field, fields
from typing import Annotated, Final, Literal

from annotated_types import Ge, Gt, Le, Lt

from stream_vae.core.alerts import Severity
from stream_vae.core.model_spec import Criterion
from stream_vae.detect.budget import Budget, parse_budget

ThresholdMethod = Literal["auto", "percentile", "mean_sd", "likelihood", "fixed", "labelled", "pot"]
Profile = Literal["auto", "multivariate", "univariate"]

POT_TAIL_SHARE: Final = 0.02
"""Share of scores above the level at which the tail of `pot` begins; 98 % as in its paper."""

DEFAULT_QUANTILE: Final = 0.98
"""Its F1 comes closest to the best possible one, on eight open server data sets."""
DEFAULT_POT_QUANTILE: Final = 0.999

_LEARNT = frozenset({"window", "refresh_every", "release_after"})
_USED_BY: dict[ThresholdMethod, frozenset[str]] = {
    "auto": _LEARNT | {"quantile"},
    "percentile": _LEARNT | {"quantile"},
    "mean_sd": _LEARNT | {"standard_deviations"},
    "likelihood": frozenset({"standard_deviations", "short_mean"}),
    "fixed": frozenset({"value"}),
    "labelled": frozenset({"criterion"}),
    "pot": _LEARNT | {"quantile", "peaks"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdConfig:
    """The threshold on a score."""

    method: ThresholdMethod = "auto"
    """`percentile`, `mean_sd` (mean + k robust standard deviations) and `pot` (generalised Pareto
    tail with drift, DSPOT) learn from the series' own recent normal scores; `likelihood` compares
    the mean of the last few with all of the last 8,640 readings; `fixed` is a value, and `labelled`
    one that training chose on labelled data. `auto`: as `detect.profile` has it."""

    quantile: Annotated[float, Gt(0.5), Lt(1.0)] | None = None
    """Share of a series' readings below the threshold, held by slow feedback; 0.999 asks for 1
    false reading in 1,000. Unset, 0.98, with `pot` 0.999, or what `detect.budget` makes of it
    (`percentile`; `pot`, > 0.98)."""

    window: Annotated[int, Ge(100), Le(100_000)] = 5000
    """Scores remembered per series; 4 bytes each. Where training found a rhythm of more steps, only
    every second, third, ... score is remembered, so that they reach over all of it (`percentile`,
    `mean_sd`, `pot`)."""

    refresh_every: Annotated[int, Ge(1)] = 64
    """Scores remembered between two refreshes of the threshold (`percentile`, `mean_sd`, `pot`)."""

    release_after: Annotated[int, Ge(1)] = 1000
    """Consecutive anomalous readings after which a series' new level is learnt as normal, so that
    a permanent change cannot lock it into alarm (`percentile`, `mean_sd`, `pot`)."""

    standard_deviations: Annotated[float, Gt(0), Le(1000)] | None = None
    """Standard deviations above the mean, of `mean_sd` robust ones. Unset: 4, of `likelihood` 3
    (`mean_sd`, `likelihood`)."""

    short_mean: Annotated[int, Ge(1), Le(64)] = 5
    """Newest scores whose mean is judged in place of the newest one (`likelihood`)."""

    value: Annotated[float, Ge(-1e30), Le(1e30)] | None = None
    """The threshold, in the score's unit (`fixed`, which needs it)."""

    criterion: Criterion = "youden"
    """What the value was chosen by on labelled data: Youden's index (true minus false positive
    rate) or the best F1 (`labelled`)."""

    peaks: Annotated[int, Ge(20), Le(10_000)] = 200
    """Excesses remembered per series, to which the tail is fitted; 4 bytes each (`pot`)."""

    @property
    def asked(self) -> float:
        """The share of readings below the threshold, the default resolved."""
        if self.quantile is not None:
            return self.quantile
        return DEFAULT_POT_QUANTILE if self.method == "pot" else DEFAULT_QUANTILE

    @property
    def deviations(self) -> float:
        """The standard deviations above the mean, the default resolved."""
        if self.standard_deviations is not None:
            return self.standard_deviations
        return 3.0 if self.method == "likelihood" else 4.0

    @property
    def of_percentile(self) -> dict[str, object]:
        """What is set of the settings that the percentile has and the likelihood has not."""
        plain = {each.name: each.default for each in fields(self)}
        names = [name for name in plain if name in _USED_BY["percentile"]]
        found = {name: getattr(self, name) for name in names}
        return {name: value for name, value in found.items() if value != plain[name]}

    def __post_init__(self) -> None:
        """Validate the fields against each other."""
        for each in fields(self):
            found = getattr(self, each.name)
            users = [method for method, used in _USED_BY.items() if each.name in used]
            if users and self.method not in users and found != each.default:
                msg = (
                    f"{each.name}: found {found}, which method {self.method} does not use; "
                    f"expected it unset, or method {' or '.join(users)}"
                )
                raise ValueError(msg)
        if self.method == "fixed" and self.value is None:
            raise ValueError("value: found nothing, expected a number with method fixed")
        if self.method == "pot":
            self._check_pot()

    def _check_pot(self) -> None:
        if self.asked <= 1 - POT_TAIL_SHARE:
            msg = (
                f"quantile: found {self.quantile}, expected more than {1 - POT_TAIL_SHARE:g} with "
                "method pot, whose tail begins there"
            )
            raise ValueError(msg)
        if self.refresh_every > self.window:
            msg = (
                f"refresh_every: found {self.refresh_every}, expected at most window "
                f"({self.window}) with method pot"
            )
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingConfig:
    """How fast and how far a tracked score follows what changes slowly."""

    readings: Annotated[int, Ge(16)] = 1440
    """Readings over which the expected residual of a feature moves by one standard deviation of the
    training data at most, and its usual energy by a factor of 1.4."""

    max_bias: Annotated[float, Ge(0), Le(100)] = 2.0
    """Standard deviations of the training data by which an expected residual may move; a larger
    fault is never forgotten, short of a new level that `release_after` lets be learnt."""

    max_energy: Annotated[float, Ge(1), Le(100)] = 2.0
    """Factor by which a usual energy may grow."""

    @property
    def changes(self) -> str:
        """What is set to another value than its default; "" if nothing is."""
        found = {each.name: getattr(self, each.name) for each in fields(self)}
        default = {each.name: each.default for each in fields(self)}
        return ", ".join(f"{name} {one}" for name, one in found.items() if one != default[name])


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentConfig:
    """When anomalous readings become an incident and when it is over."""

    open_after: Annotated[int, Ge(1), Le(64)] | None = None
    """Anomalous readings (M) among the last `open_within` that open an incident. Unset: 2, or 1
    where a likelihood is judged, which is a mean already."""

    open_within: Annotated[int, Ge(1), Le(64)] = 3
    """Number of most recent readings considered (N)."""

    resolve_after: Annotated[int, Ge(1)] = 5
    """Consecutive normal readings that resolve it."""

    resolve_deviation: Annotated[float, Ge(0), Le(1e300)] = 0.0
    """Distance from expected, in expected standard deviations, at which an incident stays open
    although its readings are normal: that of what it is about, the mean over the last
    `resolve_after` steps. So a lasting change that only some readings are anomalous by is one
    incident; after `threshold.release_after` normal readings it ends as a new level. 0: the
    readings alone decide, as of events they always do."""

    cooldown_s: Annotated[float, Ge(0), Le(1e9)] | None = None
    """Event time after a resolution during which the series opens no new incident. Unset: none, or
    that of `detect.profile`."""

    min_deviation: Annotated[float, Ge(0)] = 0.0
    """Distance of actual from expected, in expected standard deviations, that at least one feature
    must have for an anomalous reading to count. It suppresses deviations too small to matter, and
    ends an incident once readings are normal although the window still holds the anomaly. Of a
    category, the distance is the square root of -2 ln of its probability."""

    warning_grade: Annotated[float, Ge(0), Le(1)] = 0.3
    """Grade (how improbable, 0 to 1) from which an incident is a warning whatever its size; 1:
    size alone decides."""

    critical_grade: Annotated[float, Ge(0), Le(1)] = 0.7
    """Grade from which an incident is critical, if its size is at least `warning_deviation`; 1:
    size alone decides."""

    warning_deviation: Annotated[float, Ge(0), Le(1e300)] = 5.0
    """Size from which an incident is a warning whatever its grade; below both it is info. Its size
    is the largest distance of actual from expected so far, in expected standard deviations, of
    counts their deviance residual; once it has had more anomalous readings than the window has
    steps, times the square root of their ratio, so that a deviation counts double after four
    windows. An update tells of a reading of twice the size told of, and of another feature that
    deviates most, from this size on."""

    critical_deviation: Annotated[float, Ge(0), Le(1e300)] = 20.0
    """Size from which an incident is critical whatever its grade."""

    max_features: Annotated[int, Ge(1)] = 10
    """Features listed in an alert event, largest contribution first."""

    @property
    def opens_after(self) -> int:
        """Anomalous readings that open an incident, the default resolved."""
        return min(2, self.open_within) if self.open_after is None else self.open_after

    def __post_init__(self) -> None:
        """Validate the fields against each other."""
        if self.opens_after > self.open_within:
            msg = (
                f"open_after ({self.opens_after}) of open_within ({self.open_within}) readings can "
                "never be reached; open_after must be <= open_within"
            )
            raise ValueError(msg)
        for axis in ("grade", "deviation"):
            warning, critical = f"warning_{axis}", f"critical_{axis}"
            if getattr(self, warning) > getattr(self, critical):
                msg = (
                    f"{warning} ({getattr(self, warning)}) must be <= {critical} "
                    f"({getattr(self, critical)})"
                )
                raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class SilenceConfig:
    """When a series that stops becomes an incident of its own (`kind: silence`)."""

    intervals: Annotated[float, Ge(0), Le(1e9)] = 10.0
    """Allowed silence as a multiple of the series' usual interval between two readings, or, up to
    2.5, of its usual longest gap if that is more; 0 disables silence incidents."""

    at_least_s: Annotated[float, Ge(0), Le(1e9)] = 300.0
    """Shortest silence that is reported, by the wall clock."""

    severity: Severity = "warning"
    """Severity of such an incident."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectConfig:
    """How windows are scored and judged."""

    score: str = "auto"
    """Name of the score; `auto` takes the one the bundle was given at training."""

    profile: Profile = "auto"
    """What `auto` and unset settings of detection stand for. `univariate`, for single series:
    `threshold.method: likelihood`, and with it `range_margin: 0.05`, `incident.open_after: 1` and a
    cool-down of four windows. `multivariate`: `threshold.method: percentile` and none of the
    others. `auto` decides by whether the model has one feature; with a `budget`, or a setting of
    the percentile's (`quantile`, `window`, ...), it has the percentile of `multivariate`."""

    range_margin: Annotated[float, Ge(0), Le(100)] | None = None
    """A reading is anomalous, whatever its score, if a value leaves the range of all that its
    series has had so far by this share of it; 0: never. Unset: that of `profile`."""

    max_gap: Annotated[int, Ge(0)] = 8
    """Missing steps in a row that a window bridges; a longer gap restarts warm-up."""

    min_observed: Annotated[float, Gt(0), Le(1)] = 0.5
    """Smallest share of observed values with which a window is scored."""

    unscorable_after: Annotated[int, Ge(1), Le(1_000_000)] | None = None
    """Consecutive readings of a series that cannot be judged after which its open incident is
    resolved with that reason, `cannot_be_judged`. Unset: the window's steps and `max_gap`."""

    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    budget: str = ""
    """Incidents wanted, instead of `threshold.quantile`: `1 per series per week`, or shared equally
    by all series, `3 per fleet per day` (of this instance) and `3 per fleet of 200 per day` (of all
    instances). Each series' threshold is set so that its readings open as many, whether or not
    something is wrong with it, and corrected by slow feedback. With `threshold.method: percentile`;
    empty: none."""

    threshold: ThresholdConfig = field(default_factory=ThresholdConfig)
    incident: IncidentConfig = field(default_factory=IncidentConfig)
    silence: SilenceConfig = field(default_factory=SilenceConfig)

    @property
    def alarm_budget(self) -> Budget | None:
        """The budget, read."""
        return parse_budget(self.budget) if self.budget.strip() else None

    def unscorable_limit(self, window_length: int) -> int:
        """Return `unscorable_after` for windows of so many steps, the default resolved.

        A series that lost its windows fills one first, and a window bridges gaps.
        """
        if self.unscorable_after is not None:
            return self.unscorable_after
        return window_length + self.max_gap

    def __post_init__(self) -> None:
        """Validate the fields against each other."""
        try:
            budget = self.alarm_budget
        except ValueError as error:
            msg = f"budget: {error}"
            raise ValueError(msg) from error
        self._check_likelihood(budget)
        if budget is None:
            return
        if self.threshold.quantile is not None:
            msg = (
                f"budget: found {self.budget!r} beside threshold.quantile "
                f"{self.threshold.quantile}, expected one of them: each decides how often a "
                "reading is anomalous"
            )
            raise ValueError(msg)
        if self.threshold.method not in {"auto", "percentile"}:
            msg = (
                f"budget: found {self.budget!r} with threshold.method {self.threshold.method}, "
                "expected percentile, the method that can hold one"
            )
            raise ValueError(msg)

    def _check_likelihood(self, budget: Budget | None) -> None:
        """Refuse what the likelihood makes useless, where it is known to be the method."""
        threshold, which = self.threshold, "threshold.method likelihood"
        asks_for_rate = threshold.quantile is not None or budget is not None
        if self.profile == "univariate" and threshold.method == "auto" and not asks_for_rate:
            which = "the likelihood of profile univariate"
            for name, found in threshold.of_percentile.items():
                msg = (
                    f"threshold.{name}: found {found}, which {which} does not use; expected it "
                    "unset, or threshold.method percentile"
                )
                raise ValueError(msg)
        elif threshold.method != "likelihood":
            return
        if self.tracking.changes:
            msg = (
                f"tracking: found {self.tracking.changes}, which {which} does not use; expected it "
                "unset, or another threshold.method"
            )
            raise ValueError(msg)
