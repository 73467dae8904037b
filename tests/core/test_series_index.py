import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_vae.core.series_index import EPOCH, SeriesIndex, SeriesName

SECOND = 1_000_000_000


def add(index: SeriesIndex, *keys: str, at: int = 0, partition: int = 0) -> list[int]:
    names = [(partition, key) for key in keys]
    rows, _ = index.rows(names)
    index.see(rows, np.full(len(rows), at * SECOND), np.zeros(len(rows), np.int64))
    return [int(row) for row in rows]


def test_a_series_keeps_its_row_and_the_same_key_elsewhere_is_another_series() -> None:
    index = SeriesIndex(10)
    rows, new = index.rows([(0, "a"), (0, "b"), (0, "a"), (1, "a")])
    assert rows.tolist() == [rows[0], rows[1], rows[0], rows[3]]
    assert len(set(rows.tolist())) == len(new) == len(index) == 3
    assert [index.name(row) for row in new.tolist()] == [(0, "a"), (0, "b"), (1, "a")]


def test_released_rows_are_given_out_again_and_have_forgotten_everything() -> None:
    index = SeriesIndex(2)
    [a, _] = add(index, "a", "b", at=5)
    assert index.release(np.array([a], np.int32)) == [(0, "a")]
    with pytest.raises(KeyError):
        index.name(a)
    rows, _ = index.rows([(0, "c")])
    assert rows.tolist() == [a]
    assert (index.arrived[a], index.count[a]) == (0, 0)


def test_there_are_never_more_rows_than_the_capacity() -> None:
    index = SeriesIndex(2)
    add(index, "a", "b")
    assert index.shortfall([(0, "c"), (0, "a")]) == 1
    with pytest.raises(IndexError, match="all 2 rows"):
        index.rows([(0, "c")])


def test_rows_of_a_partition_are_told_from_others() -> None:
    index = SeriesIndex(4)
    here, there = add(index, "a")[0], add(index, "a", partition=3)[0]
    assert index.of_partitions({3}).tolist() == [there]
    assert index.of_partitions({0}).tolist() == [here]
    assert index.of_partitions({7}).tolist() == []


def test_series_that_never_filled_a_window_make_room_first_then_the_longest_idle() -> None:
    """A flood of new keys cannot push out what was known before."""
    index = SeriesIndex(10)
    [old, recent] = [add(index, key, at=at)[0] for key, at in (("old", 1), ("recent", 9))]
    index.warmed_up[[old, recent]] = True
    [first, second] = [add(index, key, at=at)[0] for key, at in (("flood1", 20), ("flood2", 30))]
    assert index.eviction_candidates(3, {0}, ()).tolist() == [first, second, old]
    assert index.eviction_candidates(1, {0}, [first]).tolist() == [second]


def test_rows_in_use_by_work_under_way_are_not_given_up() -> None:
    """Control: they are once the work is done."""
    index = SeriesIndex(10)
    [a, b] = add(index, "a", "b", at=1)
    index.pin(np.array([a], np.int32))
    assert index.eviction_candidates(2, {0}, ()).tolist() == [b]
    assert index.idle_since(2 * SECOND).tolist() == [b]
    index.unpin()
    assert index.eviction_candidates(2, {0}, ()).tolist() == [a, b]


def test_what_is_about_to_be_used_is_not_given_up_for_its_neighbours() -> None:
    index = SeriesIndex(2)
    [_, b] = add(index, "a", "b", at=1)
    assert index.shortfall([(0, "a"), (0, "new")]) == 1
    assert index.eviction_candidates(2, {0}, ()).tolist() == [b]


arrivals = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(1, 1000)), min_size=1, max_size=5 * EPOCH
)


@given(arrivals=arrivals, cuts=st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_what_is_noted_of_readings_does_not_depend_on_how_they_were_polled(
    arrivals: list[tuple[str, int]], cuts: list[int]
) -> None:
    one, many = SeriesIndex(4), SeriesIndex(4)
    offsets = np.arange(len(arrivals))
    for index, sizes in ((one, [len(arrivals)]), (many, cuts)):
        begin, cut = 0, 0
        while begin < len(arrivals):
            part = slice(begin, begin + sizes[cut % len(sizes)])
            names: list[SeriesName] = [(0, key) for key, _ in arrivals[part]]
            rows, _ = index.rows(names)
            times = np.array([at * SECOND for _, at in arrivals[part]])
            index.see(rows, times, offsets[part])
            begin, cut = part.stop, cut + 1
    for key in {key for key, _ in arrivals}:
        saved = [
            index.state.save(np.array([index.find((0, key))], np.int32)) for index in (one, many)
        ]
        assert saved[0] == saved[1]


def test_the_usual_interval_is_the_mean_of_the_last_full_epoch() -> None:
    index = SeriesIndex(1)
    rows, _ = index.rows([(0, "a")])
    for i in range(EPOCH):
        index.see(rows, np.array([i * 10 * SECOND]), np.array([i]))
    assert index.interval[rows[0]] == 0, "nothing is known before"
    index.see(rows, np.array([EPOCH * 10 * SECOND]), np.array([EPOCH]))
    assert index.interval[rows[0]] == 10


def test_keys_in_several_partitions_are_looked_at_in_turn() -> None:
    """However many there are; a key in one partition alone is never looked at."""
    index = SeriesIndex(64)
    names = [(p, f"k{i}") for i in range(10) for p in (0, 1)]
    rows, _ = index.rows([*names, (0, "alone"), (1, "other")])
    index.arrived[rows] = np.arange(len(rows))
    seen = [index.overtaken(4) for _ in range(5)]
    expected = [(index.find((0, f"k{i}")), index.find((1, f"k{i}"))) for i in range(10)]
    assert sorted(pair for each in seen for pair in each) == sorted(expected * 2)
    assert index.newest_elsewhere(int(rows[0])) == int(rows[1])
    assert index.newest_elsewhere(int(rows[1])) is None
    index.release(rows[1::2][:10])
    assert [index.overtaken(100) for _ in range(2)] == [[], []]
