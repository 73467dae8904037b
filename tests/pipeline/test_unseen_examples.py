"""Which line an alert shows of those that training never saw."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_vae.core.log_templates import LogSpec
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.windows import WindowConfig
from stream_vae.errors import StateError
from stream_vae.logs.templates import TemplateConfig, mine
from stream_vae.pipeline import unseen_examples
from stream_vae.pipeline.unseen_examples import UnseenExamples

STEP_NS = 10**9
GRID = WindowConfig(length=8, step_ns=STEP_NS, max_gap=8, min_observed=0.5, adds_up=True)
LOGS = mine(["request 1 served"] * 9)
MOST = 3


@dataclass(frozen=True)
class Record:
    """A line, and a step that is judged with it."""

    partition: int
    series: str
    step: int
    is_unseen: bool
    asks_step: int


def readings_of(records: list[Record], first: int) -> ReadingBatch:
    n = len(records)
    steps = np.array([one.step for one in records], np.int64)
    texts = [f"line {first + i}" if one.is_unseen else None for i, one in enumerate(records)]
    return ReadingBatch(
        topic="app",
        partitions=np.array([one.partition for one in records], np.int32),
        offsets=np.arange(first, first + n),
        series=[one.series for one in records],
        times=steps * STEP_NS,
        arrivals=steps * STEP_NS,
        values=np.zeros((n, 1)),
        unseen=np.array(texts, object) if any(texts) else None,
    )


def asked(kept: UnseenExamples, one: Record, mark: int) -> str | None:
    return kept.find(one.partition, one.series, one.asks_step * STEP_NS, mark)


records_of_a_stream = st.lists(
    st.builds(
        Record,
        partition=st.integers(0, 1),
        series=st.sampled_from("ab"),
        step=st.integers(0, 4),
        is_unseen=st.booleans(),
        asks_step=st.integers(0, 4),
    ),
    max_size=60,
)


@given(
    records=records_of_a_stream,
    cuts=st.lists(st.integers(1, 9), min_size=1, max_size=9),
    restored_at=st.integers(0, 60),
)
def test_a_step_shows_its_first_line_however_it_was_polled_and_restored(
    records: list[Record], cuts: list[int], restored_at: int
) -> None:
    """What a plain list of the newest lines would show, asked record by record.

    Polls are looked up one poll later, as scores come later; control: something is found.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unseen_examples, "MOST_LINES", MOST)
        expected: list[str | None] = []
        lines: dict[int, list[tuple[tuple[str, int], str]]] = {0: [], 1: []}
        for i, one in enumerate(records):
            newest = lines[one.partition]
            if one.is_unseen and (one.series, one.step) not in dict(newest[-MOST:]):
                newest.append(((one.series, one.step), f"line {i}"))
            expected.append(dict(newest[-MOST:]).get((one.series, one.asks_step)))

        kept, found, begin = UnseenExamples(LOGS, GRID), [], 0
        waiting: list[tuple[Record, int]] = []
        for n in [*cuts * len(records)]:
            poll = records[begin : begin + n]
            if not poll:
                break
            readings = readings_of(poll, begin)
            kept.add(readings, np.arange(len(poll)))
            marks = kept.marks(readings.partitions, np.arange(len(poll)))
            found += [asked(kept, *pair) for pair in waiting]
            if waiting:
                of = np.array([one.partition for one, _ in waiting], np.int32)
                kept.drop(of, np.array([mark for _, mark in waiting]))
            waiting = list(zip(poll, marks.tolist(), strict=True))
            if begin <= restored_at < begin + n:  # all before is decided, and saved
                found += [asked(kept, *pair) for pair in waiting]
                waiting = []
                kept = restored(kept)
            begin += n
        found += [asked(kept, *pair) for pair in waiting]
        assert found == expected


def restored(kept: UnseenExamples) -> UnseenExamples:
    again = UnseenExamples(LOGS, GRID)
    for partition in (0, 1):
        saved = kept.save(partition)
        if saved is not None:
            again.load(partition, saved)
            assert again.save(partition) == saved
    return again


def with_lines(logs: LogSpec, texts: list[str]) -> UnseenExamples:
    kept = UnseenExamples(logs, GRID)
    n = len(texts)
    poll = readings_of([Record(0, f"s{i}", 0, True, 0) for i in range(n)], 0)
    kept.add(replace(poll, unseen=np.array(texts, object)), np.arange(n))
    return kept


def test_what_is_kept_of_any_number_of_long_lines_is_bounded_and_printable() -> None:
    kept = with_lines(LOGS, [f"\x1b[2J{i}" + "x" * 10_000 for i in range(3_000)])
    saved = kept.save(0)
    assert saved is not None
    assert len(saved) < 60_000
    mark = int(kept.marks(np.zeros(1, np.int32))[0])
    text = kept.find(0, "s2999", 0, mark)
    assert text is not None
    assert text.startswith("\\x1b[2J2999x")
    assert text.isprintable()
    assert len(text) == 200
    assert kept.find(0, "s0", 0, mark) is None, "the newest are kept"


def test_examples_are_masked_where_training_says_so_and_dropped_under_another_model() -> None:
    masked = mine(["request 1 served"] * 9, TemplateConfig(examples="masked"))
    assert masked.templates[0].example == "request <*> served"
    text = ["login of bob from 10.0.0.7 failed"]
    assert with_lines(masked, text).find(0, "s0", 0, 1) == "login of bob from <*> failed"
    raw = with_lines(LOGS, text)
    assert raw.find(0, "s0", 0, 1) == text[0]
    other = UnseenExamples(mine(["another thing"] * 9), GRID)
    saved = raw.save(0)
    assert saved is not None
    other.load(0, saved)
    assert other.save(0) is None
    for damaged in (b"", saved[:-1], saved[:8] + b"\x01"):
        with pytest.raises(StateError):
            raw.load(0, damaged)
