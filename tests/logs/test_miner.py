from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from stream_vae.core.log_templates import FREE
from stream_vae.logs.masks import DEFAULT_MASKS
from stream_vae.logs.miner import LogfoldMatcher, LogfoldMiner, MinerConfig
from tests.suites import fewer_examples

WORDS = ["user", "root", "link", "up", "down", "12", "k=v", FREE, "<v>", "a\xa0b", "x\x0by", "\x00"]
LINES = st.text(st.characters(exclude_categories=()), max_size=20) | st.lists(
    st.sampled_from(WORDS), max_size=6
).map(" ".join)


@fewer_examples(by=10)
@given(st.lists(LINES, max_size=30))
def test_every_line_has_a_template_of_those_it_was_mined_for(lines: Sequence[str]) -> None:
    """But a blank one, and one of nothing but the sign of a free word."""
    miner = LogfoldMiner(DEFAULT_MASKS, MinerConfig())
    miner.add([*lines, *lines])
    patterns = [one.pattern for one in miner.templates()]
    assert len(set(patterns)) == len(patterns)
    found = LogfoldMatcher(patterns, DEFAULT_MASKS).match(lines)
    for line, number in zip(lines, found.tolist(), strict=True):
        assert number >= 0 or set(line.split()) <= {FREE}


def test_a_template_that_joins_others_takes_in_what_it_was_already() -> None:
    miner = LogfoldMiner(DEFAULT_MASKS, MinerConfig(names=3))
    miner.add([f"user {name} logged out of here" for name in ("ann", "bob", "eve", FREE)])
    found = [(one.pattern, one.count) for one in miner.templates()]
    assert found == [("user <*> logged out of here", 4)]
