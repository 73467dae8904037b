"""The closing words of a training: what its bundle is worth, and what comes next."""

from pathlib import Path

import pytest

from stream_vae.commands.jobs.train_closing import next_command, reliability, why_no_faults
from stream_vae.models.provenance import FaultTrials, MethodTrial
from stream_vae.models.training.reports import Advice
from stream_vae.settings import load_settings

SHORT = Advice(kind="short_history", text="824 rows in all are few: 2,286 would do")
GRAVE = Advice(kind="short_history", text="528 rows in all are few", is_grave=True)


def trials(found: int) -> FaultTrials:
    ours = MethodTrial(name="", found=found, average_precision=0.5, false_incidents=0)
    return FaultTrials(
        score="fused",
        threshold="percentile",
        within=64,
        each=10,
        readings=500,
        weeks=0.1,
        false_incidents=0,
        features=2,
        sizes=(),
        mixed=200,
        methods=(ours,),
    )


@pytest.mark.parametrize(
    ("found", "advice", "told"),
    [
        (10, (SHORT,), ["not to be relied on: this bundle finds 10 of 200"]),
        (10, (GRAVE,), ["not to be relied on: this bundle is of", "not to be relied on: this"]),
        (39, (), ["warning: this bundle finds 39 of 200"]),
        (40, (SHORT,), []),
        (None, (), []),
    ],
)
def test_a_bundle_that_finds_few_of_the_injected_faults_is_told_with_what_to_do(
    found: int | None, advice: tuple[Advice, ...], told: list[str]
) -> None:
    faults = None if found is None else trials(found)
    lines = [str(line) for line in reliability(advice, faults, length="2 h of readings")]
    for line, begin in zip(lines, told, strict=True):
        assert line.startswith(begin)
        assert "train on more" in line
    if advice and told:
        assert advice[0].text in lines[-1]


def test_the_next_command_names_a_bundle_that_is_not_the_configured_one() -> None:
    """Control: the configured one, by another way."""
    own, other = Path("./bundle"), Path("my bundle")
    assert next_command(own, Path("bundle"), None, of_topic=True) == "stream-vae run"
    command = next_command(other, Path("bundle"), Path("c.yaml"), of_topic=True)
    assert command == "stream-vae run --bundle 'my bundle' --config c.yaml"
    command = next_command(other, other, None, of_topic=False)
    assert command.startswith("stream-vae score --bundle 'my bundle' --input FILE")


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"input.session_pattern": "(x)", "input.format": "log_lines"}, "default of sessions"),
        ({"training.calibration": "cross_validation"}, "asked for by training.calibration"),
        ({}, "as for all histories that are so short"),
    ],
)
def test_the_reason_for_no_injected_faults_names_who_asked(
    given: dict[str, str], reason: str
) -> None:
    """Control: of a calibration on a part that is held out there is none."""
    loaded = load_settings(overrides=given, environ={})
    assert f"(cross_validation, {reason}" in why_no_faults(5, loaded)
    assert why_no_faults(0, loaded) == ""
