"""Records that cannot be decoded yet wait, and nothing depends on how long."""

from dataclasses import dataclass, field

import pytest

from stream_vae.core.records import RecordBatch
from stream_vae.edges.registry.config import RegistryConfig
from stream_vae.edges.registry.schema_client import SchemaClient
from stream_vae.events import DecodingContinued, DecodingHeld
from stream_vae.inputs.decoder import Decoded
from stream_vae.inputs.formats import build_decoder
from stream_vae.inputs.reading_format import ReadingFormat
from tests.conftest import make_spec
from tests.edges.registry.stand_in import registry
from tests.memory_kafka.clock import START_S
from tests.memory_kafka.instance import Parts
from tests.memory_kafka.scene import Scene, make_settings, reading

REASON = "schema 7 of http://registry"


@dataclass
class WaitingDecoder:
    """Lacks something whenever a record names it."""

    lacking: bytes | None = None
    decoder: object = field(
        default_factory=lambda: build_decoder(make_spec().features, ReadingFormat())
    )

    def lacks(self, batch: RecordBatch) -> str:
        wanted = self.lacking
        lacks_it = wanted is not None and any(wanted in (value or b"") for value in batch.values)
        return REASON if lacks_it else ""

    def decode(self, batch: RecordBatch, now_ns: int, read_since_ns: int | None = None) -> Decoded:
        assert not self.lacks(batch), "decoded too early"
        decoded: Decoded = self.decoder.decode(  # type: ignore[attr-defined]
            batch, now_ns, read_since_ns
        )
        return decoded


def _at(step: int) -> bytes:
    return b"%d" % (START_S + step)


def test_what_cannot_be_decoded_yet_is_told_and_waits_while_the_loop_turns() -> None:
    scene = Scene(2)
    decoder = WaitingDecoder()
    scene.feed_series("s", range(40), anomalies=range(30, 36))
    scene.feed_series("t", range(30), partition=1)
    one = scene.start(decoder=decoder)
    scene.settle(one)
    scene.feed_series("s", range(40, 120), anomalies=range(60, 70))
    scene.feed_series("t", range(30, 60), partition=1)
    decoder.lacking = _at(65)
    one.turn(60)
    assert scene.committed[0] < scene.ends[0], "its partition waits"
    assert one.consumer.lag()[0] > 0, "it is told as not polled"
    assert one.events.of(DecodingHeld) == [DecodingHeld(waiting_for=REASON)], "said once"
    assert not one.loop.readiness().is_ok
    assert REASON in one.loop.readiness().reason
    assert one.loop.liveness().is_ok
    scene.group.bump(one.name)
    one.turn(20)
    assert scene.group.members, "it is still polled"
    assert not one.events.of(DecodingContinued)
    decoder.lacking = None
    scene.settle(one)
    assert one.loop.readiness().is_ok
    assert not one.consumer.paused
    assert len(one.events.of(DecodingContinued)) == 1
    assert scene.dead_letters() == []
    scene.assert_undisturbed(one)


@pytest.mark.parametrize("is_killed", [True, False])
def test_what_is_replayed_waits_too_and_no_partition_goes_live_before_it(
    *, is_killed: bool
) -> None:
    scene = Scene()
    decoder = WaitingDecoder()
    scene.feed_series("s", range(20))
    first = scene.start(decoder=decoder)
    scene.settle(first)
    for _ in range(6):  # a round of snapshots ends
        scene.kafka.clock.sleep(1.0)
        first.turn(3)
    scene.feed_series("s", range(20, 50), anomalies=range(30, 36))
    scene.settle(first)
    first.kill()
    scene.feed_series("s", range(50, 60))
    decoder.lacking = _at(33)
    second = scene.start(decoder=decoder)
    second.turn(100)
    assert second.events.of(DecodingHeld)
    assert not second.partitions.live
    assert REASON in second.loop.readiness().reason
    if is_killed:
        second.kill()
        second = scene.start(decoder=decoder)
    decoder.lacking = None
    scene.assert_undisturbed(second)


def test_a_partition_that_leaves_takes_along_what_waited_of_it() -> None:
    scene = Scene(2)
    decoder = WaitingDecoder()
    one = scene.start("one", decoder=decoder)
    scene.settle_empty(one)
    decoder.lacking = _at(33)
    scene.feed_series("s", range(60), anomalies=range(30, 36))
    scene.feed_series("t", range(30), partition=1)
    one.turn(50)
    assert one.events.of(DecodingHeld)
    scene.group.assign({"one": [1]})
    one.turn_until(lambda: one.partitions.live == {1} and scene.committed.get(1) == 30)
    assert one.loop.readiness().is_ok, "the partition that is left needs nothing"
    decoder.lacking = None
    scene.group.assign({"one": [0, 1]})
    scene.assert_undisturbed(one)


def test_an_outage_of_the_schema_registry_pauses_and_loses_nothing() -> None:
    with registry() as stand_in:
        schemas = SchemaClient(RegistryConfig(url=stand_in.url))
        fmt = ReadingFormat(format="registry")
        decoder = build_decoder(make_spec().features, fmt, schemas=schemas)
        scene = Scene(parts=Parts(settings=make_settings(), decoder=decoder))
        stand_in.add(7, "{}", "JSON")
        stand_in.status = 503
        scene.feed("s", [b"\0\0\0\0\7" + reading(step) for step in range(40)])
        one = scene.start()
        one.turn_until(lambda: "HTTP 503" in one.loop.readiness().reason, most=10_000)
        assert one.events.of(DecodingHeld)
        assert scene.committed.get(0, 0) == 0
        stand_in.status = None
        one.turn_until(lambda: not one.loop._parts.decoder_gate.waiting_for, most=10_000_000)
        scene.feed("s", [b"\0\0\0\0\x08" + reading(40)])  # the registry has no such schema
        scene.settle(one)
        assert [value[:5] for value in scene.dead_letters() if value] == [b"\0\0\0\0\x08"]
        scene.assert_undisturbed(one)
