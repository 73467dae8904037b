"""Daemons that the product does not offer: `python -m tests.benchmarks.variants plain|timed run …`.

Its parts are replaced or wrapped from outside, in a process of its own.
"""

import atexit
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from confluent_kafka import Producer

from stream_vae.cli import main
from stream_vae.core.ports import EventSink
from stream_vae.core.records import OutputRecord
from stream_vae.daemon import service
from stream_vae.delivery.committer import Committer
from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.produce.output_producer import OutputProducer
from stream_vae.edges.kafka.produce.transactional_client import TransactionalClient
from stream_vae.edges.kafka.properties import producer_properties
from stream_vae.edges.kafka.read.range_reader import RangeReader
from stream_vae.pipeline.pipeline import Pipeline
from stream_vae.pipeline.series_store import SeriesStore
from stream_vae.state import loader
from stream_vae.state.restore import Restorer
from stream_vae.state.snapshots import SnapshotWriter
from stream_vae.wire.offset_notes import TopicIdentity


class PlainProducer(OutputProducer):
    """Publishes and hopes: no transaction, no waiting, no offsets. The least that can be done."""

    def __init__(
        self,
        config: KafkaConfig,
        transactional_id: str,
        events: EventSink,
        *,
        changelog: TopicIdentity | None = None,
        began_with: int = 0,
    ) -> None:
        properties = producer_properties(config)
        self._plain = Producer({**properties, "enable.idempotence": False, "acks": 1})

    def open(self) -> None:
        """Need nobody's leave."""

    def commit(
        self,
        records: Sequence[OutputRecord],
        topic: str,
        offsets: Mapping[int, int],
        membership: object,
        *,
        given_up: Mapping[int, Sequence[int]] | None = None,
        notes: Mapping[int, str] | None = None,
    ) -> bool:
        """Hand the records to the client, and say that all is well."""
        for record in records:
            self._plain.produce(
                record.topic, value=record.value, key=record.key, headers=list(record.headers)
            )
        self._plain.poll(0)
        return True

    def close(self) -> None:
        """Send what waits."""
        self._plain.flush(10)


class Stopwatch:
    """Seconds spent in named steps, and per turn of the loop in those that save state."""

    def __init__(self) -> None:
        self.total: defaultdict[str, float] = defaultdict(float)
        self.turn_s = 0.0
        self.turns: list[float] = []

    def wrap(
        self,
        owner: object,
        name: str,
        step: str,
        *,
        of_turn: Callable[..., bool] = lambda *_: False,
    ) -> None:
        """Time a function.

        Args:
            owner: Class or module that has it.
            name: Of the function.
            step: What its time is added to.
            of_turn: Whether a call with these arguments is part of saving.
        """
        function = getattr(owner, name)

        def timed(*arguments: Any, **named: Any) -> Any:
            began = time.perf_counter()
            result = function(*arguments, **named)
            spent = time.perf_counter() - began
            self.total[step] += spent
            if of_turn(*arguments):
                self.turn_s += spent
            return result

        setattr(owner, name, timed)

    def begin_turn(self) -> None:
        """Close the account of a turn in which something was saved."""
        if self.turn_s > 0:
            self.turns.append(self.turn_s)
        self.turn_s = 0.0

    def tell(self) -> None:
        """Write a line of the log's form."""
        turns = np.array(self.turns or [0.0])
        line = {
            "event": "steps_timed",
            "steps": {step: round(seconds, 4) for step, seconds in self.total.items()},
            "pauses": len(self.turns),
            "pause_p50_ms": float(np.quantile(turns, 0.5)) * 1e3,
            "pause_p99_ms": float(np.quantile(turns, 0.99)) * 1e3,
            "pause_max_ms": float(turns.max()) * 1e3,
        }
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


def be_plain() -> None:
    """Let this process's daemon publish without any guarantee."""
    vars(service)["OutputProducer"] = PlainProducer


def be_timed() -> None:
    """Let this process's daemon tell at its end how long saving and restoring took."""
    watch = Stopwatch()

    def always(*_: object) -> bool:
        return True

    def is_state(_: object, record: OutputRecord, *__: object) -> bool:
        return record.topic.endswith("-changelog")

    watch.wrap(Pipeline, "complete", "save: complete", of_turn=always)
    watch.wrap(Committer, "add_saved", "save: encode", of_turn=always)
    watch.wrap(Committer, "add_checkpoints", "save: encode", of_turn=always)
    watch.wrap(TransactionalClient, "publish", "publish", of_turn=is_state)
    watch.wrap(SnapshotWriter, "next_slice", "save: choose and capture")
    watch.wrap(RangeReader, "poll", "restore: read")
    watch.wrap(loader, "head_of", "restore: decode")
    watch.wrap(loader, "decode_rows", "restore: decode")
    watch.wrap(SeriesStore, "load", "restore: load")
    watch.wrap(Restorer, "poll", "restore: all")
    choose = SnapshotWriter.next_slice

    def next_slice(self: SnapshotWriter) -> object:
        """Begin a turn's account: the loop asks for a slice once a turn."""
        watch.begin_turn()
        began = time.perf_counter()
        saving = choose(self)
        if saving is not None:
            watch.turn_s += time.perf_counter() - began
        return saving

    vars_of_class: Any = SnapshotWriter
    vars_of_class.next_slice = next_slice
    atexit.register(watch.tell)


if __name__ == "__main__":
    {"plain": be_plain, "timed": be_timed}[sys.argv.pop(1)]()
    main()
