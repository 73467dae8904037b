"""The changelog's records, as they are written, back into a pipeline."""

import zlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from stream_vae.core.model_spec import Feature, ModelSpec
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.records import OutputRecord, RecordBatch
from stream_vae.detect.config import DetectConfig, ThresholdConfig
from stream_vae.errors import StateError
from stream_vae.pipeline.detector import detector_version
from stream_vae.pipeline.pipeline import Pipeline
from stream_vae.pipeline.series_store import SavedSeries
from stream_vae.state.changelog import ChangelogWriter
from stream_vae.state.loader import ChangelogLoader
from stream_vae.state.partitions import Partition, PartitionTable
from stream_vae.wire.snapshots import Checkpoint
from tests.conftest import NOW, F, make_spec

MakePipeline = Callable[..., Pipeline]
MakeReadings = Callable[..., ReadingBatch]

SPEC = make_spec()
NAME = (0, "pump")
CITY = Feature(name="f0", kind="categorical", categories=("Bonn", "Kiel"))
VERSION = detector_version(SPEC, "mean_square", "0.999")


def writer_of(
    pipeline: Pipeline, spec: ModelSpec = SPEC, version: str = VERSION
) -> ChangelogWriter:
    return ChangelogWriter("changelog", spec, version, pipeline.store.layout)


def as_batch(records: list[OutputRecord]) -> RecordBatch:
    n = len(records)
    return RecordBatch(
        topic="changelog",
        partitions=np.array([record.to_partition for record in records], np.int32),
        offsets=np.arange(n),
        timestamps=np.zeros(n, np.int64),
        timed_by_broker=False,
        keys=[record.key for record in records],
        values=[record.value for record in records],
        headers=lambda i: records[i].headers,
    )


def loader_of(pipeline: Pipeline) -> ChangelogLoader:
    return ChangelogLoader(pipeline, lambda _: None, lambda: 0)


def load(
    pipeline: Pipeline, records: list[OutputRecord], committed: int | None = 1000
) -> Partition:
    loader = loader_of(pipeline)
    partitions = PartitionTable()
    partitions.assign([0], 0.0)
    one = partitions[0]
    one.committed = committed
    loader.load(as_batch(records), partitions)
    loader.load_incidents(one)
    return one


def _thresholds(pipeline: Pipeline) -> set[float | None]:
    """Return those of the one series' open incident and of its recent readings."""
    state = saved(pipeline).incidents[NAME].anomaly
    assert state is not None
    assert state.incident is not None
    return {state.incident.threshold, *(reading.threshold for reading in state.recent)}


@pytest.fixture
def donor(make_pipeline: MakePipeline, make_readings: MakeReadings) -> Pipeline:
    """A pipeline that knows one series, with an incident open."""
    pipeline = make_pipeline()
    values = np.random.default_rng(0).normal(size=(30, F))
    values[25:] += 9
    readings = make_readings(list(range(30)), [NAME[1]] * 30, values)
    assert pipeline.observe(readings, NOW).alerts
    return pipeline


def saved(pipeline: Pipeline) -> SavedSeries:
    return pipeline.complete(pipeline.capture(pipeline.store.index.used()))


def test_what_was_written_is_there_again(donor: Pipeline, make_pipeline: MakePipeline) -> None:
    writer, after = writer_of(donor), make_pipeline()
    checkpoint = Checkpoint(offset=20, clock_ns=7)
    one = load(
        after,
        [writer.model(0), writer.checkpoint(0, checkpoint), *writer.saved(saved(donor), {0: 30})],
    )
    for part, state in saved(donor).states.items():
        assert saved(after).states[part].tobytes() == state.tobytes()
    assert saved(after).incidents == saved(donor).incidents
    assert (one.restoration.state, one.restoration.series, one.checkpoint) == (
        "restored",
        1,
        checkpoint,
    )
    assert one.restoration.is_marked
    assert one.restoration.knows_model
    assert after.n_open_incidents == 1


def test_of_a_series_the_newest_record_counts(donor: Pipeline, make_pipeline: MakePipeline) -> None:
    """Saved, forgotten and saved anew: in one chunk or several, the order alone decides."""
    writer = writer_of(donor)
    first, gone = writer.saved(saved(donor), {0: 30}), writer.forgotten(NAME, 40)
    assert load(make_pipeline(), [*first, *gone]).restoration.series == 0
    after = make_pipeline()
    load(after, [*gone, *first])
    assert after.n_series == 1
    assert after.replayed.saved_at(NAME) == 30
    forgotten = make_pipeline()
    load(forgotten, [*first, *gone])
    assert (forgotten.n_series, forgotten.replayed.saved_at(NAME)) == (0, 40)


def test_incidents_older_than_their_series_row_count_for_nothing(
    donor: Pipeline, make_pipeline: MakePipeline
) -> None:
    """The row was saved when the series was calm again. Control: incidents as old as the row."""
    writer, state = writer_of(donor), saved(donor)
    rows = writer.saved(replace(state, incidents={}), {0: 30})
    for offset, n_open in ((29, 0), (30, 1)):
        after = make_pipeline()
        load(after, [writer.incidents(NAME, state.incidents[NAME], offset), *rows])
        assert after.n_open_incidents == n_open


def test_what_the_group_had_committed_is_told_by_what_was_saved_with_it(
    donor: Pipeline, make_pipeline: MakePipeline
) -> None:
    """A series that is evicted or silent is saved as of what was polled, which may be ahead."""
    writer, state = writer_of(donor), saved(donor)
    rows = writer.saved(replace(state, incidents={}), {0: 30})
    ahead = [writer.incidents(NAME, state.incidents[NAME], 50), *writer.forgotten((0, "x"), 60)]
    for records, newest in (([], -1), (ahead, -1), (rows, 30), ([*rows, *ahead], 30)):
        assert load(make_pipeline(), records).restoration.newest == newest
    for record, newest in (
        (writer.position(0, 40), 40),
        (writer.checkpoint(0, Checkpoint(offset=20, clock_ns=7)), 30),
    ):
        assert load(make_pipeline(), [*rows, record]).restoration.newest == newest


def test_an_incident_without_a_row_begins_its_series_as_if_it_had_just_sent(
    donor: Pipeline, make_pipeline: MakePipeline
) -> None:
    after = make_pipeline()
    load(after, [writer_of(donor).incidents(NAME, saved(donor).incidents[NAME], 30)])
    row = after.store.index.find(NAME)
    assert row is not None
    assert after.store.index.changed[row], "it is saved with the next round"
    assert after.n_open_incidents == 1


def test_a_row_from_beyond_the_groups_offset_is_not_used(
    donor: Pipeline, make_pipeline: MakePipeline
) -> None:
    """The offsets were reset, or the input recreated."""
    after = make_pipeline()
    one = load(after, writer_of(donor).saved(replace(saved(donor), incidents={}), {0: 30}), 29)
    assert (one.restoration.state, one.restoration.unfit, after.n_series) == (
        "history",
        {NAME[1]: 30},
        0,
    )


def test_another_model_of_the_same_shape_hands_its_windows_over(
    donor: Pipeline, make_pipeline: MakePipeline
) -> None:
    """Told only by its own record; without that its rows are unfit."""
    other = writer_of(donor, version=b"another!".hex())
    records = other.saved(saved(donor), {0: 30})
    after = make_pipeline()
    assert load(after, [other.model(0), *records]).restoration.state == "carried over"
    assert after.n_open_incidents == 1
    # Scores of this model would be compared with the thresholds of that one.
    assert None not in _thresholds(donor)
    assert _thresholds(after) == {None}
    assert load(make_pipeline(), records).restoration.state == "history"


def test_a_reading_far_beyond_one_models_clip_reaches_the_next_model_whole(
    donor: Pipeline, make_pipeline: MakePipeline, make_readings: MakeReadings
) -> None:
    """The first model clips at 100: what it saved says 500, which the next one scales itself."""
    readings = make_readings([30], [NAME[1]], np.full((1, F), 500.0))
    donor.observe(readings, NOW)
    other = writer_of(donor, version=b"another!".hex())
    after = make_pipeline()
    load(after, [other.model(0), *other.saved(saved(donor), {0: 31})])
    again = make_readings([31], [NAME[1]], np.full((1, F), 400.0))
    window = after.assemble(again).window_batch.windows[0]
    assert window[-2:].tolist() == [[500.0] * F, [400.0] * F]


def test_windows_of_another_shape_or_other_features_are_not_used_but_incidents_stay(
    donor: Pipeline, make_pipeline: MakePipeline
) -> None:
    features = (*SPEC.features[1:], SPEC.features[0])
    swapped = writer_of(donor, replace(SPEC, features=features), b"swapped!".hex())
    after = make_pipeline()
    one = load(after, [swapped.model(0), *swapped.saved(saved(donor), {0: 30})])
    assert (one.restoration.state, one.restoration.series, one.restoration.unfit) == (
        "history",
        0,
        {NAME[1]: 30},
    )
    assert after.n_open_incidents == 1


@pytest.mark.parametrize(
    ("saved_as", "state"),
    [
        (CITY, "carried over"),
        (replace(CITY, categories=("Kiel", "Bonn")), "history"),
        (replace(CITY, kind="count", categories=()), "history"),
    ],
    ids=["control: the same", "other categories", "another kind"],
)
def test_codes_of_other_categories_are_not_used(
    donor: Pipeline, make_pipeline: MakePipeline, saved_as: Feature, state: str
) -> None:
    """The same names, and the same numbers in their windows, but 1 was another city."""
    theirs = replace(SPEC, features=(saved_as, *SPEC.features[1:]))
    ours = replace(SPEC, features=(CITY, *SPEC.features[1:]))
    other = writer_of(donor, theirs, b"renamed!".hex())
    records = [other.model(0), *other.saved(saved(donor), {0: 30})]
    assert load(make_pipeline(spec=ours), records).restoration.state == state


def test_a_threshold_of_another_length_begins_anew(
    donor: Pipeline, make_pipeline: MakePipeline
) -> None:
    writer = writer_of(donor)
    after = make_pipeline(DetectConfig(threshold=ThresholdConfig(window=500)))
    one = load(after, [writer.model(0), *writer.saved(saved(donor), {0: 30})])
    assert one.restoration.state == "carried over"


@pytest.mark.parametrize("is_summed", [False, True], ids=["", "right checksum"])
@pytest.mark.parametrize("cut", [0, 30, -1])
def test_damaged_state_is_refused_with_where_it_lies_and_what_to_do(
    donor: Pipeline, make_pipeline: MakePipeline, cut: int, is_summed: bool
) -> None:
    record = writer_of(donor).saved(saved(donor), {0: 30})[0]
    assert record.value is not None
    value = record.value[:cut]
    if is_summed:
        value = value[:4] + zlib.crc32(value[8:]).to_bytes(4, "little") + value[8:]
    damaged = replace(record, value=value)
    with pytest.raises(
        StateError, match=r"'changelog', partition 0, offset 0, key .spump.*To go on without"
    ):
        load(make_pipeline(), [damaged])


def test_a_tombstone_that_says_nothing_is_refused(make_pipeline: MakePipeline) -> None:
    bare = OutputRecord(
        topic="c", key=b"spump", value=None, headers=[], partition=0, to_partition=0
    )
    with pytest.raises(StateError, match="offset"):
        load(make_pipeline(), [bare])
