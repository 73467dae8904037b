import random

import pytest

from stream_vae.errors import StateError
from stream_vae.logs.candidates import Candidates
from stream_vae.logs.masks import DEFAULT_MASKS

RNG = random.Random(2)  # noqa: S311 -- no secret
WORDS = ["".join(RNG.choices("abcdefghij", k=7)) for _ in range(200)]
SHAPED = [f"the gate refused user {word} again" for word in WORDS]
SHAPELESS = [" ".join(RNG.choices(WORDS, k=RNG.randint(3, 9))) for _ in range(200)]
RECURRING = [
    line for pair in zip(SHAPELESS, ["disk 7 is full"] * 200, strict=True) for line in pair
]


def counted(lines: list[str], capacity: int = 5) -> Candidates:
    found = Candidates(DEFAULT_MASKS, capacity=capacity)
    found.add(lines)
    return found


@pytest.mark.parametrize("cut", [0, 1, 151, 400])
def test_a_cut_and_a_restart_change_nothing(cut: int) -> None:
    whole = counted(RECURRING)
    before = counted(RECURRING[:cut])
    after = Candidates(DEFAULT_MASKS, capacity=5)
    after.restore(before.snapshot())
    after.add(RECURRING[cut:])
    assert after.snapshot() == whole.snapshot()
    assert after.most_frequent() == whole.most_frequent()


def test_a_flood_of_one_shape_is_one_candidate_and_what_recurs_outlasts_a_flood_of_none() -> None:
    first = counted(SHAPED).most_frequent()[0]
    assert (first.pattern, first.example) == ("the gate refused user <*> again", SHAPED[0])
    assert first.count == len(SHAPED)
    found = counted(RECURRING).most_frequent()
    assert (found[0].pattern, found[0].count) == ("disk <v> is full", 200)
    assert len(found) == 5


def test_memory_does_not_grow_with_the_flood() -> None:
    """Texts and examples are cut, and ten times the capacity is held at most."""
    sizes = [
        len(counted([f"{line} {'x' * 5_000}" for line in SHAPELESS[:n]]).snapshot())
        for n in (100, 200)
    ]
    assert max(sizes) < 5 * 10 * 720
    assert counted(SHAPELESS).lines == 200


@pytest.mark.parametrize("state", [b"", b"\x93\x01", b"\x93\x02\x00\x90"])
def test_a_damaged_or_newer_state_is_refused(state: bytes) -> None:
    with pytest.raises(StateError, match="log candidates"):
        counted([]).restore(state)
