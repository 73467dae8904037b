"""What must hold of any outputs is found out where it does not."""

from dataclasses import replace

import pytest

from tests.system.chaos.compare import broken_laws
from tests.system.chaos.outputs import Outputs
from tests.system.chaos.stream import StreamRecord

STREAM = [StreamRecord(partition=0, key=b"p", value=b"no json", is_poison=True)]

GOOD = Outputs(
    alerts=[],
    dead_letters=[(b"p", b"no json", ())],
    late=[],
    committed={0: 1},
    state={},
    told=[("a", 0, "firing"), ("a", 1, "resolved"), ("b", 0, "firing")],
    firing=frozenset({"b"}),
)


def broken(run: Outputs, *, is_again: bool = False) -> list[str]:
    return broken_laws(run, STREAM, {0: 1}, is_again=is_again)


@pytest.mark.parametrize(
    ("run", "told"),
    [
        (replace(GOOD, told=[*GOOD.told, ("b", 0, "firing")]), "repeated alert event"),
        (replace(GOOD, told=[*GOOD.told, ("a", 2, "resolved")]), "repeated end of an incident"),
        (replace(GOOD, firing=frozenset()), "incident firing for ever"),
        (replace(GOOD, firing=frozenset({"b", "c"})), "open incident that nobody was told of"),
        (replace(GOOD, dead_letters=[]), "missing dead letter"),
        (replace(GOOD, dead_letters=GOOD.dead_letters * 2), "dead letter too many"),
        (replace(GOOD, committed={0: 0}), "committed offset"),
    ],
)
def test_a_broken_law_is_told(run: Outputs, told: str) -> None:
    assert f"1 x {told}:" in broken(run)


def test_good_outputs_break_none_and_after_a_set_back_things_may_come_again() -> None:
    again = replace(GOOD, told=GOOD.told * 2, dead_letters=GOOD.dead_letters * 2)

    assert not broken(GOOD)
    assert broken(again)
    assert not broken(again, is_again=True)
