"""No pattern of the operator's takes long, whatever a line holds."""

import re
import sys
import time

import pytest

from stream_vae.errors import ConfigError
from stream_vae.inputs.log_lines.backtracking import may_backtrack
from stream_vae.inputs.log_lines.line_patterns import compile_pattern

FINE = [
    r"^(\d{6} \d{6})",
    r"^(\S+ \S+) \S+ (\S+) ",
    r"host=([\w.-]+)",
    r"\[([^\]]+)\] (?i:error)",
    r"^(?:<\d{1,3}>)?([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) (\w+)",
    r"(?P<pod>[a-z0-9-]{1,60})/(\w+)",
    r"^((?:\d+\.){3}\d+) - - \[([^]]*)\]",
    r"(\w++)\w",
    r"([^\W\d]+)\d",
    r"(a|b)*c",
    r"(a|ab)*c",  # read as a(|b)
]
SLOW = [
    r"(a+)+b",
    r"(a|a)*b",
    r"^(.*)(.*)x",
    r"(a?){30}a{30}",
    r"(\w+\s?)*$",
    r"((?:a*)*)b",
    r"(a{1,30}){1,30}b",
    r"(?i)(a+A+)+b",
    r"(a)\1",
    r"((?=a+)a*a*)b",
    r"([^x]+\w+)+9",
    r"(é+[à-ü]+)+b",
]
HOSTILE = ["a" * 1000, "aA " * 333, "1.1." * 250, "é" * 1000, "[" * 1000, "-a/" * 333, "ab" * 500]


@pytest.mark.parametrize("pattern", FINE)
def test_a_pattern_that_reads_in_one_way_is_quick_on_any_line(pattern: str) -> None:
    assert not may_backtrack(pattern)
    found = compile_pattern(pattern, "input.series_pattern")
    started = time.process_time()
    for line in HOSTILE:
        found.find(line)
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize("pattern", SLOW)
def test_a_pattern_that_may_go_back_needs_another_engine(
    pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert may_backtrack(pattern)
    monkeypatch.setitem(sys.modules, "re2", None)
    with pytest.raises(ConfigError, match=r"input\.series_pattern.*stream-vae\[re2\]"):
        compile_pattern(pattern, "input.series_pattern")


def test_the_other_engine_finds_what_the_first_one_would() -> None:
    pattern = r"^(.*) (\w+)? ?=(.*)"
    for line in ("a b =c", "é ü  =", "none"):
        expected = re.search(pattern, line)
        groups = () if expected is None else tuple(filter(None, expected.groups()))
        assert compile_pattern(pattern, "input.series_pattern").find(line) == groups
    assert compile_pattern(r"(a+)+b", "x").find("a" * 999) == ()


@pytest.mark.parametrize(
    ("pattern", "said"),
    [("(", "no regular expression"), ("abc", "no group"), (r"(a)\1", "no expression of RE2")],
)
def test_what_is_no_pattern_is_refused_with_the_setting(pattern: str, said: str) -> None:
    with pytest.raises(ConfigError, match=rf"input\.timestamp_pattern: .*{said}"):
        compile_pattern(pattern, "input.timestamp_pattern")
