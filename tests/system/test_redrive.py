"""`stream-vae redrive` on a real broker: each record once, however often and whatever dies."""

import threading
from pathlib import Path

import pytest
import yaml
from confluent_kafka import TopicPartition

from stream_vae.core.records import Rejection
from stream_vae.daemon.clock import SystemClock
from stream_vae.forwarding.exchange import Response
from stream_vae.wire.alerts import encode_alert
from stream_vae.wire.rejections import rejection_headers
from tests.forwarding.bench import opened, risen
from tests.forwarding.stand_ins import SECRET, Headers, Webhook, serving
from tests.system.broker import KafkaCluster, Record
from tests.system.forked_process import Command
from tests.system.harness import DaemonProcess, Topics, make_config
from tests.system.scene import await_true

PARTITIONS = 3


@pytest.fixture
def topics(kafka: KafkaCluster) -> Topics:
    return Topics.create(kafka, partitions=PARTITIONS)


@pytest.fixture
def config(kafka: KafkaCluster, topics: Topics, tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    content = {
        "input": {"topic": topics.input},
        "output": {
            "alerts_topic": topics.alerts,
            "dead_letter_topic": topics.dead_letters,
            "late_topic": topics.late,
        },
        "kafka": {"bootstrap_servers": kafka.bootstrap, "group_id": topics.group},
    }
    path.write_text(yaml.safe_dump(content))
    return path


def start(config: Path, *flags: str) -> Command:
    return Command(["redrive", "--config", config, *flags], config.parent)


def redrive(config: Path, *flags: str) -> str:
    with start(config, *flags) as command:
        done = command.wait()
    assert done.code == 0, done.err
    return " ".join(done.out.split())


def put_aside(
    kafka: KafkaCluster,
    topics: Topics,
    reason: str,
    records: list[Record],
    *,
    home: int,
    topic: str | None = None,
) -> None:
    """Publish dead letters as the daemon does, of records that came from partition `home`."""
    headers = rejection_headers(
        [("trace", b"\x00\x01")],
        Rejection(index=0, reason=reason, detail="no good"),
        topic=topics.input,
        partition=home,
        offset=0,
        detector="d",
    )
    kafka.produce(topic or topics.dead_letters, records, headers=list(headers))


def numbered(begin: int, end: int) -> list[Record]:
    return [(b"k%d" % (i % 7), b"v%d" % i) for i in range(begin, end)]


def values(kafka: KafkaCluster, topic: str) -> list[bytes]:
    return sorted(message.value() or b"" for message in kafka.consume_all(topic))


def sorted_values(records: list[Record]) -> list[bytes]:
    return sorted(value for _, value in records if isinstance(value, bytes))


def test_a_dry_run_moves_nothing_and_says_what_would_be_moved(
    kafka: KafkaCluster, topics: Topics, config: Path
) -> None:
    put_aside(kafka, topics, "not_json", numbered(0, 20), home=1)
    told = redrive(config, "--reason", "not_json")
    assert "20 records would be moved; nothing was" in told
    assert f"--config {config} --reason not_json --execute" in told
    assert values(kafka, topics.input) == []
    assert redrive(config, "--reason", "not_json") == told, "nothing is remembered of it"


def test_each_record_goes_home_once_whatever_the_runs_select(
    kafka: KafkaCluster, topics: Topics, config: Path
) -> None:
    """Key, value, headers and order as they were; tombstones and empty values too."""
    good: list[Record] = [*numbered(0, 40), (b"k0", None), (None, b"")]
    put_aside(kafka, topics, "not_json", good[:20], home=1)
    put_aside(kafka, topics, "timestamp_in_future", numbered(100, 110), home=2)
    put_aside(kafka, topics, "not_json", good[20:], home=1)
    kafka.produce(topics.dead_letters, [(b"k", b"of another program")])

    assert "10 records moved" in redrive(config, "--reason", "timestamp_in_future", "--execute")
    assert sorted_values(numbered(100, 110)) == values(kafka, topics.input)
    assert "42 records moved" in redrive(config, "--execute")
    told = redrive(config, "--execute")
    assert "0 records moved" in told
    assert "52 moved by an earlier run" in told
    assert "1 put there by another program" in told

    found = kafka.consume_all(topics.input)
    assert {m.partition() for m in found} == {1, 2}
    at_home = [m for m in found if m.partition() == 1]
    assert sorted((m.key() or b"", m.value() or b"") for m in at_home) == sorted(
        (key or b"", value or b"") for key, value in good
    )
    assert {(m.key(), m.value()) for m in at_home if not m.value()} == {(b"k0", None), (None, b"")}
    for key in (b"k0", b"k3"):
        own = [int((m.value() or b"")[1:]) for m in at_home if m.key() == key and m.value()]
        assert own == sorted(own), "in order"
    assert all(m.headers() == [("trace", b"\x00\x01"), ("dlq.redriven", b"1")] for m in found)
    assert "52 records moved" in redrive(config, "--again", "--execute")
    assert len(kafka.consume_all(topics.input)) == 104


def test_late_readings_can_go_to_another_topic(
    kafka: KafkaCluster, topics: Topics, config: Path
) -> None:
    other = kafka.new_topic("other")
    put_aside(kafka, topics, "late", numbered(0, 10), home=2, topic=topics.late)
    told = redrive(config, "--from", "late", "--to", other, "--execute")
    assert "10 records moved" in told
    assert values(kafka, other) == sorted_values(numbered(0, 10))
    assert values(kafka, topics.input) == []


def test_offsets_and_times_narrow_the_choice(
    kafka: KafkaCluster, topics: Topics, config: Path
) -> None:
    put_aside(kafka, topics, "not_json", numbered(0, 60), home=0)
    (first, last) = sorted(
        m.offset() or 0 for m in kafka.consume_all(topics.dead_letters) if m.partition() == 0
    )[1:3]
    window = ("--partition", "0", "--from-offset", str(first), "--to-offset", str(last))
    assert "2 records would be moved" in redrive(config, *window)
    assert "nothing to move" in redrive(config, "--until", "2020-01-01T00:00:00Z")
    assert "60 records would be moved" in redrive(config, "--since", "2020-01-01T00:00:00Z")
    assert "nothing to move" in redrive(config, "--source-topic", "elsewhere")


def test_a_record_that_fails_again_is_a_dead_letter_again_and_counted(
    kafka: KafkaCluster, topics: Topics, small_bundle: Path, tmp_path: Path
) -> None:
    kafka.produce(topics.input, [(b"k", b"{")], headers=[("trace", b"7")])
    config = make_config(tmp_path, kafka, topics, small_bundle)

    def letters() -> list[dict[str, bytes]]:
        found = kafka.consume_all(topics.dead_letters)
        return [dict(message.headers() or []) for message in found]  # type: ignore[arg-type]  # pairs

    with DaemonProcess(config) as daemon:
        await_true(lambda: len(letters()) == 1, "a dead letter", 60)
        assert "1 records moved" in redrive(config, "--execute")
        await_true(lambda: len(letters()) == 2, "it came back")
        assert daemon.stop() == 0
    assert [each.get("dlq.redriven") for each in letters()] == [None, b"1"]
    assert {each["trace"] for each in letters()} == {b"7"}
    assert "1 records would be moved" in redrive(config), "it came back as a new one"


def test_a_run_killed_in_between_moves_no_record_twice(
    kafka: KafkaCluster, topics: Topics, config: Path
) -> None:
    records = numbered(0, 20_000)
    put_aside(kafka, topics, "not_json", records, home=1)
    watcher = kafka.consumer(**{"isolation.level": "read_committed"})
    watcher.assign([TopicPartition(topics.input, 1, 0)])
    with start(config, "--execute") as command:
        await_true(lambda: any(m.error() is None for m in watcher.consume(1, 0.05)), "a record")
        command.kill()
    watcher.close()
    n_before = len(kafka.consume_all(topics.input))
    assert 0 < n_before < len(records), "killed too late to prove anything"

    told = redrive(config, "--execute")

    assert f"{len(records) - n_before:,} records moved" in told
    assert values(kafka, topics.input) == sorted_values(records)


def test_a_killed_forwarder_goes_on_and_what_its_receiver_refused_is_redriven_to_it(
    kafka: KafkaCluster, topics: Topics, config: Path
) -> None:
    """Nothing is lost; what was told and not committed comes again under the same key."""
    stand_in = Webhook(SystemClock())
    told = stand_in.taken
    reached, killed, mended = threading.Event(), threading.Event(), threading.Event()

    def answer(method: str, path: str, headers: Headers, body: bytes) -> Response:
        if headers["webhook-id"] == "s3-0.1" and not mended.is_set():
            return Response(status=422, body=b"no such tenant")
        response = stand_in.answer(method, path, headers, body)
        if len(told) == 20 and not reached.is_set():
            reached.set()
            killed.wait(60.0)
        return response

    events = [event for i in range(40) for event in (opened(f"s{i}"), risen(f"s{i}"))]
    wanted = {f"{event.incident_id}.{event.sequence}" for event in events}
    kafka.produce(topics.alerts, [(e.series.key.encode(), encode_alert(e)) for e in events])
    with serving(answer) as url:
        settings = yaml.safe_load(config.read_text())
        settings["forward"] = {"to": "webhook", "url": url, "secret": SECRET, "start": "earliest"}
        settings["http"] = {"enabled": False}
        # The second takes the first one's place at once, instead of after its session.
        settings["kafka"] |= {"group_protocol": "classic", "instance_id": "forwarder"}
        config.write_text(yaml.safe_dump(settings))
        with Command(["forward", "--config", config], config.parent) as first:
            assert reached.wait(60.0)
            first.kill()
        killed.set()
        with Command(["forward", "--config", config], config.parent):
            refused = wanted - {"s3-0.1"}
            await_true(lambda: {key for key, _ in told} == refused, "all but the refused one")
            await_true(lambda: len(values(kafka, topics.dead_letters)) == 1, "a dead letter")
            mended.set()
            assert "1 records moved" in redrive(config, "--reason", "receiver_refused", "--execute")
            await_true(lambda: {key for key, _ in told} == wanted, "redriven")
    assert 0 < len(told) - len(wanted) <= 20, "repeated"
