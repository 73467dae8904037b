r"""Ids in lines of logs by which these could be judged together, and the sessions that come of it.

>>> lines = [f"job {n // 3} is {what}" for n, what in enumerate(["on", "up", "off"] * 20)]
>>> [pattern for pattern in key_patterns(lines)]
['\\bjob (\\d+)']
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.durations import describe_duration
from stream_vae.core.sessions import LineSessions
from stream_vae.errors import ConfigError
from stream_vae.inputs.log_lines.line_patterns import SEARCHED_CHARACTERS, compile_pattern

_FEWEST = 10
"""Sessions of a sample from which one is proposed."""
_MOSTLY = 0.5
"""Share of the lines that tell a key."""
_MANY = 0.9
_BRIEF = 0.2
"""Of the span of the sample, in which nine of ten sessions begin and end."""
_MOST_NAMES = 500
_MOST_PATTERNS = 5
_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"


@dataclass(frozen=True, slots=True)
class _Shape:
    """A way to write an id."""

    find: re.Pattern[str]
    """Its first group is the name before an id."""
    pattern: Callable[[str], str]
    """Name, escaped -> regular expression whose group is the id."""


_SHAPES = (
    _Shape(
        re.compile(r"""\b([A-Za-z]\w{0,40}?(?:[iI]d|ID)["']?[=:] ?["']?)[\w.-]"""),
        lambda name: rf"\b{name}([\w.-]+)",
    ),
    _Shape(re.compile(rf"()\b{_UUID}\b"), lambda _: rf"\b({_UUID})\b"),
    _Shape(re.compile(r"\b([A-Za-z]{2,20}[_-])-?\w*\d"), lambda name: rf"\b({name}-?\w+)"),
    _Shape(
        re.compile(r"(?<![\w.-])([A-Za-z][\w.-]{0,40}\[)\d+\]"), lambda name: rf"\b{name}(\d+)\]"
    ),
    _Shape(re.compile(r"\b([A-Za-z]{2,30}(?: #|[ #]))\d+\b"), lambda name: rf"\b{name}(\d+)"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFacts:
    """The sessions of a sample."""

    n_lines: int
    """Of the sample."""
    n_told: int
    """Of these, that tell a key."""
    n: int
    span_s: float
    """From the first line of the sample to the last one."""
    lines: int
    """Of a session, in the median."""
    seconds: float
    """From its first line to its last one, in the median."""
    pause_s: float
    """The longest between two lines of one, but for one in a hundred."""
    split: float
    """Share of the sessions whose lines are of several series."""
    in_several: float
    """Share of the sessions whose lines are in several partitions."""
    ended: int
    """Sessions with a line that ends them."""

    @property
    def words(self) -> str:
        """The facts, for a person."""
        told = f"{self.n_told:,} of {self.n_lines:,} lines tell an id"
        life = describe_duration(self.seconds)
        return f"{told}: {self.n:,} ids, {self.lines:,} lines and {life} each in the median"


def key_patterns(lines: Sequence[str]) -> Iterator[str]:
    """Yield regular expressions whose group could be the key of a session, the likeliest first.

    Most of the lines tell such a key, and several tell the same.
    """
    found: list[tuple[int, int, str]] = []
    for pattern in _often_told(lines):
        try:
            keys = compile_pattern(pattern, "input.session_pattern").joined(lines)
        except ConfigError:  # a name that makes it slow
            continue
        told = [key for key in keys if key is not None]
        n_keys = len(set(told))
        if n_keys >= _FEWEST and 2 * n_keys <= len(told):
            found.append((-len(told), n_keys, pattern))
    yield from (pattern for *_, pattern in sorted(found)[:_MOST_PATTERNS])


def key_fields(columns: Mapping[str, Sequence[str | None]]) -> Iterator[str]:
    """Yield the fields whose values could be the key of a session, the likeliest first.

    Args:
        columns: Path -> of each line, what stands there; None: nothing.
    """
    found: list[tuple[int, int, str]] = []
    for name, column in columns.items():
        told = [value for value in column if value]
        n_keys = len(set(told))
        is_told = len(told) >= _MOSTLY * len(column)
        if is_told and n_keys >= _FEWEST and 2 * n_keys <= len(told):
            found.append((-len(told), n_keys, name))
    yield from (name for *_, name in sorted(found)[:_MOST_PATTERNS])


def session_facts(
    told: LineSessions,
    times: NDArray[np.int64],
    series: Sequence[str],
    partitions: NDArray[np.int32],
) -> SessionFacts | None:
    """Return the sessions of N lines; None if their keys are none: they are few, or live long.

    Args:
        told: Of N lines.
        times: (N,) nanoseconds since 1970.
        series: N.
        partitions: (N,)
    """
    places: dict[str, list[int]] = defaultdict(list)
    for at, key in enumerate(told.keys):
        if key is not None:
            places[key].append(at)
    n_told = sum(map(len, places.values()))
    if len(places) < _FEWEST or n_told < _MOSTLY * len(times) or n_told < 2 * len(places):
        return None
    own = [np.sort(times[rows]) for rows in places.values()]
    lives = np.array([one[-1] - one[0] for one in own]) / 1e9
    if np.quantile(lives, _MANY) > _BRIEF * (times.max() - times.min()) / 1e9:
        return None
    pauses = np.concatenate([np.diff(one) for one in own]) / 1e9
    return SessionFacts(
        n_lines=len(times),
        n_told=n_told,
        n=len(places),
        span_s=float(times.max() - times.min()) / 1e9,
        lines=round(float(np.median([len(one) for one in own]))),
        seconds=float(np.median(lives)),
        pause_s=float(np.quantile(pauses, 0.99, method="higher")),
        split=_share(len({series[row] for row in rows}) > 1 for rows in places.values()),
        in_several=_share(len(np.unique(partitions[rows])) > 1 for rows in places.values()),
        ended=sum(bool(told.ends[rows].any()) for rows in places.values()),
    )


def _often_told(lines: Sequence[str]) -> Iterator[str]:
    """Yield the patterns of names after which most lines have an id."""
    n_lines: dict[tuple[int, str], int] = {}
    for line in lines:
        text = line[:SEARCHED_CHARACTERS]
        told = {(at, name) for at, one in enumerate(_SHAPES) for name in one.find.findall(text)}
        for one_told in told:
            if one_told in n_lines or len(n_lines) < _MOST_NAMES:
                n_lines[one_told] = n_lines.get(one_told, 0) + 1
    for (at, name), n in n_lines.items():
        if n >= _MOSTLY * len(lines):
            yield _SHAPES[at].pattern(re.escape(name).replace(r"\ ", " ").replace(r"\-", "-"))


def _share(found: Iterator[bool]) -> float:
    """Return the share of those that are true."""
    return float(np.mean([*found]))
