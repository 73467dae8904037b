import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_vae.core.log_templates import LogSpec, Mask
from stream_vae.errors import ConfigError
from stream_vae.logs.masks import DEFAULT_MASKS, Masker
from stream_vae.logs.miner import MinedTemplate, MinerConfig
from stream_vae.logs.templates import TemplateConfig, Templates, carry_over, chosen, mine

TRAINING = [
    *(f"session {n} opened for {name}" for n, name in enumerate(["ann", "bob", "eve", "kim"] * 5)),
    *(f"fan {n % 4} is {'slow' if n % 3 else 'fast'} now in rack {n}" for n in range(24)),
    *(f"read 10.0.0.{n}:50010 /var/data/{n}.bin in {n}.5 ms" for n in range(1, 9)),
    "shutting down",
]
NAMES = ("ann", "bob", "eve", "kim", "leo", "mia", "tom", "zoe")
LINES = [
    *TRAINING,
    "never seen before",
    "",
    "session 9 opened for zoe",
    "fan 1 is stuck now in rack 2",
]
LOGS = mine(TRAINING)
TEMPLATES = Templates(LOGS)


def texts(found: LogSpec) -> set[str]:
    return {one.text for one in found.templates}


def test_a_name_is_free_wherever_it_stands_and_a_state_is_not() -> None:
    assert texts(LOGS) == {
        "session <*> opened for <*>",
        "fan <*> is slow now in rack <*>",
        "fan <*> is fast now in rack <*>",
        "read <*> <*> in <*>",
        "shutting down",
    }
    names = mine([f"user {name} logged out" for name in NAMES] + ["user root logged in"])
    assert texts(names) == {"user <*> logged out", "user root logged in"}
    together = mine(TRAINING, miner=MinerConfig(states=0))
    assert "fan <*> is <*> now in rack <*>" in texts(together)


@given(st.permutations(range(len(LINES))), st.integers(1, len(LINES)))
def test_a_lines_template_does_not_depend_on_what_stands_around_it(
    order: Sequence[int], size: int
) -> None:
    alone = np.array([TEMPLATES.match([line])[0] for line in LINES])
    shuffled = [LINES[place] for place in order]
    found = [TEMPLATES.match(shuffled[at : at + size]) for at in range(0, len(LINES), size)]
    assert np.array_equal(np.concatenate(found), alone[list(order)])
    assert (alone[: len(TRAINING)] >= 0).all()
    assert alone[len(TRAINING) :].tolist() == [-1, -1, alone[0], -1]


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_has_a_template_or_none(line: str) -> None:
    assert TEMPLATES.match([line]).dtype == np.int32


def test_every_template_is_counted_by_one_of_a_stated_number_of_features() -> None:
    lines = [
        f"{word} happened" for word in map("".join, zip(*[iter("abcdefghij" * 6)] * 3, strict=True))
    ]
    found = mine([*TRAINING, *lines], TemplateConfig(own=3, shared=4)).templates
    assert [one.feature for one in found[:3]] == [one.id for one in found[:3]]
    assert {one.feature for one in found[3:]} <= {f"rare.{n}" for n in range(4)}
    assert len({one.id for one in found}) == len(found)


def test_identities_outlast_a_training_that_frees_a_word_and_one_that_sees_it_no_more() -> None:
    narrow = [line for line in TRAINING if line.endswith("ann")]
    old = mine([*narrow, *TRAINING[20:]])
    new = mine([*TRAINING[:-1], "a new thing"])
    carried = carry_over(old, new)
    by_text = {one.text: one.id for one in old.templates}
    after = {one.text: one.id for one in carried.logs.templates}
    assert after["session <*> opened for <*>"] == by_text["session <*> opened for ann"]
    assert after["fan <*> is slow now in rack <*>"] == by_text["fan <*> is slow now in rack <*>"]
    assert carried.gone == (by_text["shutting down"],)
    assert carried.new == (after["a new thing"],)
    assert set(carried.kept) | set(carried.new) == set(after.values())
    back = carry_over(carried.logs, old)
    assert {one.text: one.id for one in back.logs.templates} == by_text


def test_no_identity_is_given_twice_though_a_pattern_comes_back() -> None:
    narrow, wide = "door <v> opened by ann", "door <v> opened by <*>"
    before = _of_patterns(narrow)
    kept = carry_over(before, _of_patterns(wide)).logs
    assert kept.templates[0].id == before.templates[0].id
    both = carry_over(kept, _of_patterns(wide, narrow))
    identities = [one.id for one in both.logs.templates]
    assert identities[0] == before.templates[0].id
    assert len({*identities, *(one.feature for one in both.logs.templates)}) == 2
    assert both.new == (identities[1],)


def _of_patterns(*patterns: str) -> LogSpec:
    mined = [MinedTemplate(pattern=one, count=9, example="") for one in patterns]
    return chosen(mined, TemplateConfig(), DEFAULT_MASKS)


def test_an_operators_mask_goes_first_and_one_that_could_stall_is_refused() -> None:
    own = Mask(name="user", pattern=r"for \w+", keeps="for ")
    assert texts(mine(TRAINING[:1], masks=[own, *DEFAULT_MASKS])) == {"session <*> opened for <*>"}
    for pattern in ("(?<=for )a", r"(a)\1", "a*", "("):
        with pytest.raises(ConfigError, match="mask 'mine': found the pattern"):
            mine([], masks=[*DEFAULT_MASKS, Mask(name="mine", pattern=pattern)])


def test_a_masked_example_holds_no_value_that_a_mask_takes() -> None:
    line = "login of user=ann from 10.1.2.3"
    assert mine([line]).templates[0].example == line
    assert mine([line], TemplateConfig(examples="masked")).templates[0].example == (
        "login of user=<*> from <*>"
    )


@pytest.mark.parametrize(
    ("line", "masked"),
    [
        ("Jun 9 06:06:20 up", "<v> up"),
        ("at 2024-05-01T10:11:12.5Z and 2024/05/01", "at <v> and <v>"),
        ("lifetime <1 sec, 00:12, 1.5 KB/s", "lifetime <v>, <v>, <v>"),
        ("00:11:43:e3:ba:c3 via fe80::1:2 on eth1", "<v> via <v> on <v>"),
        ("read/write of C:\\logs\\a.txt by ann@example.org", "read/write of <v> by <v>"),
        ("core.4711 deadbeef 0xdead a.B.run:17", "core.<v> <v> <v> a.B.run:<v>"),
        ("GET https://a.example/x?y=1 -> 200", "GET <v> -> <v>"),
        ("no value at all", "no value at all"),
    ],
)
def test_masks_take_values_and_leave_words(line: str, masked: str) -> None:
    assert Masker(DEFAULT_MASKS).mask(line) == masked


def test_a_flood_leaves_mining_bounded() -> None:
    rng = random.Random(1)  # noqa: S311 -- no secret
    flood = [" ".join(rng.choices("abcdefghijklmnopqrst", k=9)) for _ in range(3_000)]
    found = mine(
        [*TRAINING, *flood, *TRAINING],
        TemplateConfig(kept=50),
        miner=MinerConfig(max_templates=100),
    )
    assert len(found.templates) <= 50
    assert (Templates(found).match(TRAINING[:20]) >= 0).all()
