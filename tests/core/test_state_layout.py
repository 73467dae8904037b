from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from stream_vae.core.columns import Columns
from stream_vae.core.state_layout import PartHead, Stage, StateLayout, StatePart

ROW = np.dtype([("count", "<i8"), ("mean", "<f4", (2,))])
ROWS = np.array([3, 1], np.int32)


def make_part(
    name: str = "one", stage: Stage = Stage.ASSEMBLED, row: np.dtype[np.void] = ROW
) -> StatePart:
    return StatePart(name=name, stage=stage, columns=Columns(np.zeros((), row), 5))


def as_saved(layout: StateLayout) -> NDArray[np.void]:
    """Return the state of two series as bytes of no type, as it comes from a changelog."""
    found = layout.copy(ROWS, *Stage)
    saved = np.zeros(len(ROWS), [(head.name, f"V{head.size}") for head in layout.heads])
    for name, part in found.items():
        saved[name] = part.view(f"V{part.dtype.itemsize}")
    return saved


def test_parts_come_back_by_name_in_whatever_order_they_were_saved() -> None:
    a, b = make_part("a"), make_part("b", Stage.DECIDED, np.dtype([("run", "<i4")]))
    a.columns["count"][:], b.columns["run"][:] = np.arange(5), np.arange(5) * 10
    layout = StateLayout([a, b])
    assert layout.row_bytes == ROW.itemsize + 4
    saved = as_saved(layout)
    a.columns["count"][:] = b.columns["run"][:] = -1
    states = StateLayout([b, a]).match(layout.heads, saved)
    assert layout.load(ROWS, states, *Stage)
    assert a.columns["count"].tolist() == [-1, 1, -1, 3, -1]
    assert b.columns["run"].tolist() == [-1, 10, -1, 30, -1]


@pytest.mark.parametrize(
    "changed",
    [
        replace(make_part(), version=2),
        make_part("another"),
        make_part(row=np.dtype([("count", "<i8"), ("mean", "<f4", (3,))])),
        make_part(row=np.dtype([("count", "<i8"), ("sum", "<f4", (2,))])),
        make_part(row=np.dtype([("count", "<u8"), ("mean", "<f4", (2,))])),
    ],
    ids=["version", "name", "shape", "field", "kind"],
)
def test_a_part_of_another_version_or_other_fields_is_not_taken_for_ours(
    changed: StatePart,
) -> None:
    """Control: the very same one is."""
    ours, saved = StateLayout([make_part()]), StateLayout([changed])
    assert ours.match(saved.heads, as_saved(saved)) == {}
    same = StateLayout([make_part()])
    assert list(ours.match(same.heads, as_saved(same))) == ["one"]


def test_only_parts_of_the_stages_asked_for_are_loaded_and_the_rest_begins_anew() -> None:
    parts = [make_part(stage.value, stage) for stage in Stage]
    layout = StateLayout(parts)
    for part in parts:
        part.columns["count"][:] = 7
    assert not layout.load(ROWS, layout.copy(ROWS, *Stage), Stage.ASSEMBLED)
    assert [int(part.columns["count"][3]) for part in parts] == [7, 0, 0]
    assert list(layout.copy(ROWS, Stage.SCORED)) == ["scored"]


def test_a_row_without_an_essential_part_is_of_no_use() -> None:
    layout = StateLayout([replace(make_part("a"), is_essential=True), make_part("b")])
    states = layout.copy(ROWS, *Stage)
    assert layout.lacks({"b": states["b"]})
    assert not layout.lacks({"a": states["a"]})


@pytest.mark.parametrize("names", [("a", "a"), ("",), ("x" * 17,), ("é",)])
def test_names_that_cannot_be_told_apart_or_written_are_a_bug(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="names of parts"):
        StateLayout([make_part(name) for name in names])


def test_a_fingerprint_stays_what_it_was() -> None:
    """Saved rows carry it."""
    assert PartHead.of("one", ROW) == PartHead(name="one", fingerprint=2163839362, size=16)
