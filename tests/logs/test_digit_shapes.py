import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stream_vae.core.log_templates import FREE, Mask
from stream_vae.inputs.log_lines.levels import LineLevels, levels_in
from stream_vae.logs.digit_shapes import ShapeMemory, are_digits_alike, digit_shapes
from stream_vae.logs.masks import DEFAULT_MASKS
from stream_vae.logs.miner import LogfoldMatcher, LogfoldMiner, MinerConfig
from stream_vae.logs.templates import Templates, mine
from tests.suites import fewer_examples

PARTS = [*"0123456789", *" .:-/x=eE,\"'[\n", "10.0.0.1", "0x7f", "Jan", "12 ms", "up", FREE, "²³٣"]
PARTS += ["<11>", "<1", ">", "<", "ERROR", "[warn]", "E", "12-31 10:00:00.000  1  2 W ", "info:"]
TEXTS = st.lists(st.sampled_from(PARTS), max_size=12).map("".join)
LINES = TEXTS | st.text(st.characters(exclude_categories=()), max_size=12)


def patterns_of(lines: Sequence[str], masks: Sequence[Mask] = DEFAULT_MASKS) -> list[str]:
    miner = LogfoldMiner(masks, MinerConfig())
    miner.add(lines)
    return [one.pattern for one in miner.templates()]


@fewer_examples(by=4)
@given(st.lists(LINES, max_size=20), st.lists(LINES, max_size=20), st.randoms())
def test_a_shape_has_the_template_and_level_of_each_of_its_lines(
    lines: list[str], more: list[str], rng: random.Random
) -> None:
    """Of lines in polls of any size, and with other digits."""
    patterns = patterns_of(lines)
    assert are_digits_alike([mask.pattern for mask in DEFAULT_MASKS], patterns)
    match = LogfoldMatcher(patterns, DEFAULT_MASKS).match
    memory, levels = ShapeMemory(match), LineLevels()
    others = ["".join(_another(sign, rng) for sign in line) for line in [*lines, *more]]
    for poll in (lines, others, more, [*more, *lines], others):
        assert memory.find(poll, digit_shapes(poll)).tolist() == match(poll).tolist()
        on_one_line = [line.replace("\n", " ") for line in poll]
        found = levels.find(on_one_line, digit_shapes(on_one_line))
        assert found.tolist() == levels_in(on_one_line).tolist()


def _another(sign: str, rng: random.Random) -> str:
    return rng.choice("0123456789") if sign in "0123456789" else sign


@pytest.mark.parametrize(
    "mask",
    [
        "node1",
        "[a-f1]",
        "[^0]",
        "[0-8]",
        "[1-9]",
        "[!-5]",
        "(?:a|b(?:c7)*)",
        "(?:node1){16,20}",
        "(a)" * 15 + "(1)",
        r"\x30",
        r"\u{30}",
        r"[{12}]",
        r"[[:alpha:]]",
        r"[0-9--4]",
    ],
)
def test_a_mask_that_may_tell_digits_apart_is_known(mask: str) -> None:
    assert not are_digits_alike([mask], [])


def test_what_tells_digits_apart_is_matched_line_by_line() -> None:
    own = Mask(name="own", pattern=r"\bnode1\b")
    lines = ["node1 is up", "node1 is up"]
    found = Templates(mine(lines, masks=[own]))
    assert found.match(["node1 is up", "node2 is up", "node1 is up"]).tolist() == [0, -1, 0]


def test_a_flood_of_shapes_leaves_memory_bounded_and_no_known_line_unknown() -> None:
    memory = ShapeMemory(LogfoldMatcher(["a <v> b"], DEFAULT_MASKS).match, most_bytes=10_000)
    largest = 0
    for n in range(300):
        lines = [f"x{'y' * n} z", f"a {n} b"]
        assert memory.find(lines, digit_shapes(lines)).tolist() == [-1, 0]
        largest = max(largest, memory.n_bytes)
    assert 9_000 < largest <= 10_000
    lines = [f"{'z' * 10_000} a", "a 1 b"]
    assert memory.find(lines, digit_shapes(lines)).tolist() == [-1, 0]
    assert memory.n_bytes == 0


def test_lines_of_ever_new_shapes_are_not_remembered_and_others_are_again() -> None:
    asked = 0

    def lengths(lines: Sequence[str]) -> NDArray[np.int64]:
        nonlocal asked
        asked += len(lines)
        return np.array(list(map(len, lines)))

    memory = ShapeMemory(lengths)
    new = ["x" * (n % 50) + chr(ord("a") + n // 50) for n in range(1000)]
    for poll in range(25):
        lines = [f"{line} {chr(ord('a') + poll)}" for line in new]
        assert memory.find(lines, None).tolist() == list(map(len, lines))
    assert memory.rests
    assert memory.n_bytes == 0
    alike = [f"a {n:03}" for n in range(1000)]
    while memory.rests:
        assert memory.find(alike, None).tolist() == [5] * 1000
    before = asked
    for _ in range(25):
        assert memory.find(alike, None).tolist() == [5] * 1000
    assert (asked - before, memory.rests) == (1000, False)
