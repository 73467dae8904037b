"""Rules of features, against a plain implementation of one reading at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stream_vae.core.feature_rule import FeatureRule, parse_rule, rules_of
from stream_vae.core.feature_rules import FeatureRules
from stream_vae.core.model_spec import Feature
from stream_vae.core.time_grid import NEVER

STEP = 10
NAN = float("nan")
MAX_GAP = 2
TEXTS = ("scale:2", "difference", "rate", "scale:-0.5,rate,hold:2.5e-8", "hold:3e-8")
FEATURES = [
    Feature(name=f"f{i}", rule=parse_rule(text) if text else None)
    for i, text in enumerate(("", *TEXTS))
]

Row = tuple[int, int, tuple[float, ...]]
"""Row of the series, time, values."""
Out = tuple[int, int, tuple[float, ...]]


@dataclass
class Plain:
    """What is known of one series, and one reading at a time."""

    counters: dict[int, tuple[tuple[int, float] | None, tuple[int, float]]] = field(
        default_factory=dict
    )
    held: dict[int, tuple[int, float]] = field(default_factory=dict)
    newest: int = NEVER

    def take(self, time: int, values: Sequence[float], reasons: list[tuple[str, str]]) -> list[Out]:
        """Return the steps between that are shown, and the reading."""
        step, told = step_of(time), []
        if self.newest != NEVER and 0 < step - self.newest - 1 <= MAX_GAP:
            for between in range(self.newest + 1, step):
                shown = tuple(self.stands(f, between * STEP) for f in range(len(FEATURES)))
                if not np.isnan(shown).all():
                    told.append((0, between * STEP, shown))
        self.newest = max(self.newest, step)
        found = tuple(self.ruled(f, time, value, reasons) for f, value in enumerate(values))
        return [*told, (0, time, found)]

    def stands(self, f: int, time: int) -> float:
        """Return the held value of a feature at a time."""
        rule = FEATURES[f].rule
        if rule is None or not rule.hold_s or f not in self.held:
            return NAN
        since, value = self.held[f]
        known = step_of(since) <= step_of(time) and time - since <= round(rule.hold_s * 1e9)
        return value if known else NAN

    def ruled(self, f: int, time: int, value: float, reasons: list[tuple[str, str]]) -> float:
        """Return one value after its rule."""
        rule = FEATURES[f].rule or FeatureRule()
        if rule.change and not np.isnan(value):
            value = self.change(f, time, value, reasons)
        value *= rule.scale
        if rule.hold_s and np.isnan(value):
            return self.stands(f, time)
        if rule.hold_s and (f not in self.held or step_of(time) >= step_of(self.held[f][0])):
            self.held[f] = time, value
        return value

    def change(self, f: int, time: int, value: float, reasons: list[tuple[str, str]]) -> float:
        """Return how much a counter rose."""
        step = step_of(time)
        base, current = self.counters.get(f, (None, None))
        compared = base
        if current is None or step > step_of(current[0]):
            compared = current
            self.counters[f] = current, (time, value)
        elif step == step_of(current[0]):
            self.counters[f] = base, (time, value)
        elif base is not None and step <= step_of(base[0]):
            reasons.append((f"f{f}", "out_of_order"))
            return NAN
        else:
            self.counters[f] = (time, value), current
        if compared is None:
            reasons.append((f"f{f}", "first_value"))
            return NAN
        if 0 <= value < compared[1]:
            reasons.append((f"f{f}", "counter_reset"))
            return NAN
        rise = value - compared[1]
        rule = FEATURES[f].rule
        is_rate = rule is not None and rule.change == "rate"
        return rise / ((time - compared[0]) / 1e9) if is_rate else rise


def step_of(time: int) -> int:
    return (time + STEP // 2) // STEP


class Line:
    """The rules as the pipeline uses them; windows know the newest step of each series."""

    def __init__(self, newest: NDArray[np.int64] | None = None) -> None:
        self.newest = np.full(8, NEVER) if newest is None else newest
        self.rules = FeatureRules(
            FEATURES,
            step_ns=STEP,
            max_gap=MAX_GAP,
            last_steps=lambda rows: self.newest[rows],
            capacity=8,
        )
        self.rules.state.begin(np.arange(8, dtype=np.int32))

    def take(self, rows: Sequence[Row]) -> tuple[list[Out], list[tuple[str, str, int]]]:
        """Return a poll's readings after the rules, and what is missing by them."""
        at = np.array([row for row, _, _ in rows], np.int32)
        times = np.array([time for _, time, _ in rows], np.int64)
        values = np.array([value for _, _, value in rows]).reshape(len(rows), len(FEATURES))
        given = values.copy()
        ruled = self.rules.apply(at, times, values)
        assert np.array_equal(values, given, equal_nan=True), "what was given stays"
        for row, time in zip(at.tolist(), times.tolist(), strict=True):
            self.newest[row] = max(self.newest[row], step_of(time))
        if ruled.filled is not None:
            at, times = at[ruled.filled.source], ruled.filled.times
        out = zip(at.tolist(), times.tolist(), map(tuple, ruled.values.tolist()), strict=True)
        return [*out], [(one.feature, one.reason, one.count) for one in ruled.missing]

    def restored(self) -> "Line":
        """Return another one with this one's state."""
        other = Line(self.newest)
        rows = np.arange(8, dtype=np.int32)
        other.rules.state.load(rows, self.rules.state.save(rows))
        return other


def readings_of(seed: int, n: int, *, orderly: bool) -> list[Row]:
    """Return counters with resets and pauses; in parts, disordered and repeated unless orderly."""
    rng = np.random.default_rng(seed)
    rows: list[Row] = []
    clock, counts = [0, 50, 9_990], np.zeros((3, len(FEATURES)))
    for _ in range(n):
        series = int(rng.integers(0, 3))
        clock[series] += STEP * int(rng.choice([1, 1, 1, 2, 3, 4, 9]))
        counts[series] += rng.integers(0, 5, len(FEATURES))
        counts[series, rng.random(len(FEATURES)) < 0.05] = float(rng.integers(-2, 3))
        time = clock[series] + int(rng.integers(-4, 5))
        values = counts[series].copy()
        if not orderly:
            values[rng.random(len(FEATURES)) < 0.3] = NAN
            time -= STEP * int(rng.choice([0, 0, 0, 1, 2, 4]))
            clock[series] -= STEP * int(rng.choice([0, 0, 1]))
        rows.append((series, time, tuple(values.tolist())))
    return rows


@given(
    seed=st.integers(0, 10_000),
    n=st.integers(0, 60),
    cuts=st.lists(st.integers(0, 60), max_size=6),
    orderly=st.booleans(),
)
def test_any_cut_with_restores_gives_what_a_plain_implementation_does(
    seed: int, n: int, cuts: list[int], orderly: bool
) -> None:
    rows = readings_of(seed, n, orderly=orderly)
    plain = [Plain() for _ in range(3)]
    expected: list[Out] = []
    reasons: list[tuple[str, str]] = []
    for series, time, values in rows:
        told = plain[series].take(time, values, reasons)
        expected += [(series, at, found) for _, at, found in told]
    line, found, missing = Line(), [], []
    bounds = [0, *sorted(min(cut, n) for cut in cuts), n]
    for begin, end in pairwise(bounds):
        ruled, why = line.take(rows[begin:end])
        found += ruled
        missing += why
        line = line.restored()
    assert [row[:2] for row in found] == [row[:2] for row in expected]
    np.testing.assert_array_equal([row[2] for row in found], [row[2] for row in expected])
    counted = {key: reasons.count(key) for key in set(reasons)}
    assert counted == {
        key: sum(count for *place, count in missing if tuple(place) == key) for key in counted
    }


def test_a_result_beyond_all_floats_is_missing_and_told() -> None:
    rules = FeatureRules(
        [Feature(name="f", rule=FeatureRule(scale=1e300))],
        step_ns=STEP,
        max_gap=MAX_GAP,
        last_steps=np.zeros,
        capacity=1,
    )
    ruled = rules.apply(np.zeros(2, np.int32), np.arange(2), np.array([[1e200], [1.0]]))
    np.testing.assert_array_equal(ruled.values, [[NAN], [1e300]])
    assert [(one.reason, one.count, one.at) for one in ruled.missing] == [("beyond_range", 1, 0)]


@pytest.mark.parametrize("text", [*TEXTS, "scale:1e-09,difference"])
def test_a_rule_is_the_text_that_it_was_read_from(text: str) -> None:
    assert parse_rule(parse_rule(text).text) == parse_rule(text)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"cpu.*": "rate", "cpu.idle": "scale:2"}, {"cpu.user": "rate", "cpu.idle": "scale:2.0"}),
        ({"mem": " hold:300 "}, {"mem": "hold:300"}),
        ({"disk": "rate"}, "found 'disk', expected a feature of cpu.user, cpu.idle, mem"),
        ({"cpu.*": "rate", "*idle": "rate"}, "both 'cpu.*' and '*idle' name cpu.idle"),
        ({"mem": "rates"}, "mem: found 'rates'; expected scale:FACTOR, difference, rate or hold"),
        ({"mem": "scale:0"}, "expected a factor other than 0"),
        ({"mem": "scale:1"}, "changes nothing"),
        ({"mem": "hold:-1"}, "expected seconds above 0"),
        ({"mem": "hold:9,rate"}, "expected hold last"),
        ({"mem": "rate,difference"}, "one of difference and rate"),
    ],
)
def test_a_name_wins_over_patterns_and_what_is_no_rule_is_refused(
    rules: dict[str, str], expected: dict[str, str] | str
) -> None:
    read: Callable[[], dict[str, str]] = lambda: {  # noqa: E731
        name: rule.text for name, rule in rules_of(rules, ["cpu.user", "cpu.idle", "mem"]).items()
    }
    if isinstance(expected, dict):
        assert read() == expected
    else:
        with pytest.raises(ValueError, match=expected.replace("*", r"\*")):
            read()
