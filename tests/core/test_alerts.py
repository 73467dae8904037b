from dataclasses import replace
from pathlib import Path

import pytest

from stream_vae.core.alerts import AlertFeature, LineDirection
from stream_vae.wire.alert_text import format_alert
from stream_vae.wire.alerts import decode_alert

EVENT = decode_alert((Path(__file__).parents[1] / "golden" / "alert_v1.json").read_bytes())


def lines(
    name: str,
    actual: float,
    expected: float,
    *,
    template: str | None = None,
    is_unseen: bool = False,
) -> AlertFeature:
    direction: LineDirection = "too_many" if actual > expected else "missing"
    return AlertFeature(
        name=name,
        unit="",
        actual=actual,
        expected=expected,
        expected_std=1.0,
        contribution=0.1,
        kind="count",
        direction="unseen" if is_unseen else direction,
        template=template,
    )


INFO = lines("level.info", 36.0, 7.0)


@pytest.mark.parametrize(
    ("others", "told"),
    [
        ([lines("child.1", 32.0, 5.0, template="Found child <*>")], "child.1"),
        ([lines("unseen", 20.0, 0.0, is_unseen=True)], "unseen"),
        # Neither a small part of it, nor what goes the other way, nor another total explains it.
        ([lines("child.1", 12.0, 5.0, template="Found child <*>")], "level.info"),
        ([lines("child.1", 0.0, 40.0, template="Found child <*>")], "level.info"),
        ([lines("lines", 40.0, 9.0)], "level.info"),
        ([], "level.info"),
    ],
)
def test_of_a_level_that_is_wrong_the_lines_that_make_it_so_are_told(
    others: list[AlertFeature], told: str
) -> None:
    event = replace(EVENT, features=(INFO, *others))
    assert event.told is not None
    assert event.told.name == told


@pytest.mark.parametrize(("share", "told"), [(0.2, "unseen"), (0.19, "beat.1")])
def test_of_lines_that_changed_what_they_are_now_is_told_not_that_they_are_missing(
    share: float, told: str
) -> None:
    beat = replace(lines("beat.1", 0.0, 6.0, template="beat <*>"), contribution=0.4)
    unseen = replace(lines("unseen", 6.0, 0.0, is_unseen=True), contribution=share)
    event = replace(EVENT, features=(beat, unseen))
    assert event.told is not None
    assert event.told.name == told
    assert replace(event, cause="beat.1").told is beat


def test_where_the_cause_is_told_to_be_a_template_it_is_that() -> None:
    ends = lines("end.2", 30.0, 3.0, template="end of <*>")
    event = replace(
        EVENT, cause="end.2", features=(INFO, lines("a.1", 40.0, 0.0, template="a"), ends)
    )
    assert event.told is ends


def test_the_text_names_the_lines_and_not_their_level() -> None:
    child = lines("child.1", 32.0, 5.0, template="Found child <*>")
    assert 'too many "Found child <*>"' in format_alert(replace(EVENT, features=(INFO, child)))
