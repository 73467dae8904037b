import numpy as np
from numpy.typing import NDArray

from stream_vae.state.schedule import SnapshotScheduler
from stream_vae.wire.snapshots import Checkpoint

AT = {0: Checkpoint(offset=5, clock_ns=1), 1: Checkpoint(offset=9, clock_ns=1)}


def rows(n: int) -> NDArray[np.int32]:
    return np.arange(n, dtype=np.int32)


def test_every_row_is_taken_once_a_round_and_evenly_over_the_interval() -> None:
    sweep = SnapshotScheduler(10.0, now=0.0)
    assert not sweep.is_due(9.9)
    assert sweep.is_due(10.0)
    sweep.begin(10.0, rows(100), AT)
    taken = [sweep.take(10.0 + second) for second in range(11)]
    assert [len(part) for part in taken] == [0] + [10] * 10
    assert np.concatenate(taken).tolist() == list(range(100))


def test_a_round_is_over_when_all_its_rows_were_taken_and_says_so_once() -> None:
    sweep = SnapshotScheduler(10.0, now=0.0)
    sweep.begin(10.0, rows(10), AT)
    sweep.take(19.0)
    assert sweep.finish() is None
    sweep.take(20.0)
    assert sweep.finish() == AT
    assert sweep.finish() is None
    assert sweep.is_due(20.0)


def test_no_slice_is_large_however_late_it_is() -> None:
    sweep = SnapshotScheduler(1.0, now=0.0)
    sweep.begin(1.0, rows(100_000), AT)
    assert max(len(sweep.take(1000.0)) for _ in range(300)) <= 512
    assert sweep.finish() == AT


def test_a_round_without_changes_is_over_at_once() -> None:
    sweep = SnapshotScheduler(1.0, now=0.0)
    sweep.begin(1.0, rows(0), AT)
    assert len(sweep.take(1.0)) == 0
    assert sweep.finish() == AT


def test_partitions_that_left_are_left_out() -> None:
    sweep = SnapshotScheduler(1.0, now=0.0)
    sweep.begin(1.0, rows(0), AT)
    sweep.drop({0})
    assert sweep.finish() == {1: AT[1]}
