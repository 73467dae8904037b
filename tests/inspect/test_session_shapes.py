"""Ids in lines that live briefly are proposed as keys of sessions, and nothing else is."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from stream_vae.inspect.configuration import configuration
from stream_vae.inspect.inspection import Inspection
from stream_vae.inspect.report import log_history_lines, report_lines
from stream_vae.inspect.survey import inspect_records
from stream_vae.settings import load_settings
from tests.inspect.shapes import START, Record, batch_of, iso

NOW_NS = (START + 10**6) * 10**9
N = 60
TEXTS = ("begins", "goes on", "ends")
UUID = "7c1b1c9e-55d1-4f7a-9a3e-{:012d}"


def lines_of(line: Callable[[int], str], lasts: int = 9) -> list[str]:
    """Return three lines of each of 60 jobs, one job a minute."""
    return [
        f"{iso(START + 60 * n + lasts * part)} web-{n % 2} {line(n)} {text}"
        for n in range(N)
        for part, text in enumerate(TEXTS)
    ]


def look(lines: list[str], **more: object) -> Inspection:
    records = [Record(line.encode(), partition=at % 2) for at, line in enumerate(lines)]
    if "message_field" in lines[0] or lines[0].startswith("{"):
        records = [Record(line.encode()) for line in lines]
    return inspect_records(batch_of(records), now_ns=NOW_NS, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("line", "pattern"),
    [
        (lambda n: f"sshd[{24200 + n}]: it", r"\bsshd\[(\d+)\]"),
        (lambda n: f"block blk_-{7**19 + n} is, it", r"\b(blk_-?\w+)"),
        (lambda n: f'request_id="r{n:x}z" it', r'\brequest_id="([\w.-]+)'),
        (lambda n: f"order {UUID.format(n)} it", None),
        (lambda n: f"job {n} of thread pool-7 it", r"\bjob (\d+)"),
    ],
)
def test_an_id_that_many_lines_share_is_proposed_and_its_configuration_makes_sessions(
    line: Callable[[int], str], pattern: str | None, tmp_path: Path
) -> None:
    found = look(lines_of(line))
    assert found.sessions is not None
    assert found.by_sessions is not None
    assert (found.sessions.n, found.sessions.lines, found.sessions.seconds) == (N, 3, 18.0)
    proposed = found.by_sessions.settings["session_pattern"]
    assert pattern in (None, proposed)
    (tmp_path / "sessions.yaml").write_text(configuration(found))
    assert load_settings(config=tmp_path / "sessions.yaml").settings.input.sessions is None
    path = tmp_path / "apart.yaml"
    apart = configuration(look(lines_of(line), given={"session_pattern": proposed}))
    path.write_text(apart)
    settings = load_settings(config=path, environ={}).settings
    assert settings.input.session_pattern == proposed
    assert settings.model.window_length == 1
    told = "\n".join(report_lines(found))
    assert "sessions  180 of 180 lines tell an id: 60 ids, 3 lines and 18 s each" in told
    assert "100% of the ids are in several partitions" in told


@pytest.mark.parametrize(
    "line",
    [
        lambda n: f"thread-{n % 12} works, it",  # they live as long as the program
        lambda n: "all is well, it",
        lambda n: f"worker {n} of port {n}" if n % 4 == 0 else "it",  # few lines tell one
    ],
)
def test_what_lives_long_or_few_lines_tell_is_no_session(line: Callable[[int], str]) -> None:
    found = look(lines_of(line))
    assert (found.sessions, found.by_sessions) == (None, None)


def test_ids_of_one_line_each_are_no_sessions() -> None:
    """Control: the same ids, three lines each, are; see the test of patterns."""
    lines = [f"{iso(START + 60 * n)} web-1 block blk_{n} is stored" for n in range(3 * N)]
    assert look(lines).by_sessions is None


@pytest.mark.parametrize("field", ["request_id", "trace.id"])
def test_a_field_of_json_is_proposed_and_is_no_series(field: str) -> None:
    outer, _, inner = field.partition(".")
    lines = [
        json.dumps(
            {
                "ts": START + 60 * n + 9 * part,
                outer: {inner: f"r{n}x"} if inner else f"r{n}x",
                "message": f"request {text} now",
            }
        )
        for n in range(N)
        for part, text in enumerate(TEXTS)
    ]
    found = look(lines)
    assert found.by_sessions is not None
    assert found.by_sessions.settings["session_field"] == field
    assert found.by_sessions.settings["series"] == "all"
    for proposal in (found.proposal, found.by_sessions):
        assert proposal.settings.get("series_field") != field


def test_sessions_that_go_over_hosts_are_of_one_series() -> None:
    """Control: those that stay on a host are of it."""
    lines = [
        f"{iso(START + 60 * n + 200 * part)} web-{part} job {n} {text}"
        for n in range(N)
        for part, text in enumerate(TEXTS)
    ]
    over, within = look(lines).by_sessions, look(lines_of(lambda n: f"job {n}")).by_sessions
    assert over is not None
    assert within is not None
    assert over.settings["series"] == "all"
    assert "series_pattern" not in over.settings
    assert over.settings["session_quiet_s"] == 400, "twice the longest pause"
    assert "series" not in within.settings
    assert "session_quiet_s" not in within.settings


def test_how_long_to_collect_is_told_in_steps_and_in_sessions() -> None:
    lines = lines_of(lambda n: f"job {n}")
    found = look(lines, wanted=1000)
    told = "\n".join(log_history_lines(found, 72))
    # 2 s would be 1,000 steps, but a host is quiet for 102 s, over 32 of them.
    assert "step      5 s, which training takes for 59 min 18 s of lines" in told
    assert "history   1,399 steps in all; training wants 1,000: enough" in told
    assert "history   60 sessions; training wants 72: collect for another 11 min 52 s" in told
    few = "\n".join(log_history_lines(look(lines, wanted=8000), 60))
    assert "8,000 would do; collect for another" in few
    assert "60 sessions; training wants 60: enough" in few


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("ends$", "ends 60 of 60, quiet time"),
        ("^job", "ends 60 of 60"),
        ("web-", "ends none, quiet"),
    ],
)
def test_how_many_sessions_a_pattern_ends_is_told(pattern: str, told: str) -> None:
    """It is looked for in the message, not in the host before it."""
    given = {"session_pattern": r"job (\d+)", "session_end_pattern": pattern}
    found = look(lines_of(lambda n: f"job {n}"), given=given)
    assert f"session_end_pattern {told}" in "\n".join(report_lines(found))
