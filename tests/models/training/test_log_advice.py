"""Series whose lines are grouped badly are told of, with numbers and what to mask."""

from dataclasses import replace
from typing import Any

import pytest

from stream_vae.core.log_templates import FREE, VALUE, LogSpec, LogTemplate
from stream_vae.logs.log_steps import LogSteps
from stream_vae.models.training.log_advice import (
    advise_on_steps,
    advise_on_templates,
)


def logs_of(*patterns: str) -> LogSpec:
    templates = tuple(
        LogTemplate(id=str(n), pattern=pattern, example="", count=1, feature=str(n))
        for n, pattern in enumerate(patterns)
    )
    return LogSpec(templates=templates, masks=(), lines=0)


NAMES = [f"order {chr(65 + n // 26)}{chr(65 + n % 26)}X shipped" for n in range(200)]


@pytest.mark.parametrize(
    ("counts", "covered", "kinds"),
    [
        ({0: 200}, set(), ["one_template"]),
        ({0: 99}, set(), []),  # too few lines to tell
        (dict.fromkeys(range(20), 1) | {20: 980}, set(), ["mostly_rare_templates"]),
        (dict.fromkeys(range(10), 1) | {20: 980, 21: 10}, set(), []),
        (dict.fromkeys(range(60), 2), set(), []),  # a frequent one has 2 of 120
        (dict.fromkeys(range(200), 2), set(), ["no_frequent_template"]),
        (
            dict.fromkeys(range(150), 1),
            set(),
            ["mostly_rare_templates", "too_many_templates", "no_frequent_template"],
        ),
        ({0: 100, 1: 100, 2: 100}, {0, 1}, ["mostly_covered_templates"]),
        ({0: 100, 1: 100, 2: 100, 3: 100}, {0, 1}, []),
        ({0: 200, -1: 10}, set(), ["one_template"]),  # lines without one are no template
        ({-1: 200}, set(), []),
    ],
)
def test_each_way_to_group_badly_has_its_advice(
    counts: dict[int, int], covered: set[int], kinds: list[str]
) -> None:
    found = list(advise_on_templates({"web": counts, "empty": {}}, logs_of(*NAMES), covered))
    assert [one.kind for one in found] == kinds
    assert {one.series for one in found} <= {"web"}


def test_advice_names_the_words_that_keep_templates_apart() -> None:
    logs = logs_of("order AAA shipped", "order BBB shipped", f"fan {VALUE} of {FREE}\x1b[2J")
    counts = {0: 1, 1: 1} | {2: 1}
    [rare, *_] = advise_on_templates({"web": counts | {-1: 97}}, logs, ())
    assert rare.text == (
        '3 of 3 templates took a single one of 100 lines, such as "order AAA shipped" and "order '
        'BBB shipped", which differ in AAA, BBB, J. If such words are values (names, ids), give '
        "training.masks a regular expression that finds them: lines that differ in them become one "
        "template"
    )
    assert "\x1b" not in rare.text


def steps(**given: Any) -> LogSteps:
    usual = LogSteps(
        n=2286,
        wanted=2286,
        n_series=2,
        step_s=60.0,
        window_length=32,
        missing=0.0,
        wider_s=None,
        span_s=68_580.0,
    )
    return replace(usual, **given)


def test_to_collect_comes_before_a_longer_step_which_is_no_advice_for_what_is_short() -> None:
    """Control: what is long enough, and seldom quiet, needs none."""
    assert [*advise_on_steps(steps())] == []
    short, gaps = advise_on_steps(steps(n=286, missing=0.6, wider_s=300.0))
    assert (short.kind, short.is_grave, gaps.kind) == ("short_history", True, "gaps")
    assert "286 steps of 1 min in all are few for windows of 32: 2,286 would do" in short.text
    assert "collect for another 16 h 40 min" in short.text
    assert "step-seconds" not in short.text
    assert "window_length" not in short.text
    assert "60% of the time is in gaps of more than a window (32 min)" in gaps.text
    assert "--step-seconds 300 has few, once lines of 3 d 23 h are there" in gaps.text
    (none,) = advise_on_steps(steps(missing=0.6))
    assert "step-seconds" not in none.text
