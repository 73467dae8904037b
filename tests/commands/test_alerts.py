"""`stream-vae alerts` against a broker."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from confluent_kafka import Producer
from typer.testing import CliRunner, Result

from stream_vae.commands.alerts import alerts
from stream_vae.commands.jobs.broker_notices import BrokerNotices
from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.embedded import EmbeddedBroker
from stream_vae.edges.kafka.properties import producer_properties
from stream_vae.errors import ConfigError, KafkaUnavailableError, TopicMissingError
from stream_vae.events import Event

GOLDEN = Path(__file__).parents[1] / "golden" / "alert_v1.json"


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker({"alerts": 1}) as broker:
        yield broker


def make_event(**overrides: object) -> bytes:
    return json.dumps({**json.loads(GOLDEN.read_text()), **overrides}, indent=2).encode()


def publish(broker: EmbeddedBroker, *values: bytes | None) -> None:
    config = KafkaConfig(bootstrap_servers=broker.bootstrap)
    producer = Producer(producer_properties(config))
    for value in values:
        producer.produce("alerts", value, b"pump-7")
    assert producer.flush(10) == 0
    producer.close()


def run(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(alerts)
    return CliRunner().invoke(app, list(arguments))


def test_each_event_is_one_line_on_stdout(broker: EmbeddedBroker) -> None:
    publish(broker, make_event(sequence=0), make_event(sequence=1))

    result = run("--bootstrap", broker.bootstrap, "--topic", "alerts")

    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert len(lines) == 2
    assert all("pump-7" in line for line in lines)
    assert "FIRING" in lines[0]
    assert "UPDATE" in lines[1], "of the same incident"
    assert "2 alert events" in result.stderr


def test_lines_name_their_detector_from_the_second_on(broker: EmbeddedBroker) -> None:
    """Control: lines of one detector name none."""
    other = {"name": "other\x1b", "version": "0.1.0", "instance": "b"}
    publish(broker, make_event(), make_event(incident_id="f" * 16, detector=other))
    first, second = run("--bootstrap", broker.bootstrap, "--topic", "alerts").stdout.splitlines()
    assert "detector" not in first
    assert second.endswith("  detector other\\x1b")


def test_json_is_the_event_as_it_stands_on_one_line(broker: EmbeddedBroker) -> None:
    """Fields of a newer release are kept, though the published text spans many lines."""
    event = make_event(added_in_2030=[1, 2])
    publish(broker, event)

    result = run("--bootstrap", broker.bootstrap, "--topic", "alerts", "--json")

    assert [json.loads(line) for line in result.stdout.splitlines()] == [json.loads(event)]


def test_a_repeated_event_is_shown_once(broker: EmbeddedBroker) -> None:
    """Control: another sequence of the same incident is another event."""
    publish(broker, make_event(sequence=3), make_event(sequence=3), make_event(sequence=4))

    result = run("--bootstrap", broker.bootstrap, "--topic", "alerts", "--json")

    assert [json.loads(line)["sequence"] for line in result.stdout.splitlines()] == [3, 4]
    assert "2 alert events, 1 repeated ones left out" in result.stderr


def test_what_is_no_event_is_told_and_counted_and_reading_goes_on(broker: EmbeddedBroker) -> None:
    publish(broker, b"{broken", None, make_event(schema_version=2), make_event())

    result = run("--bootstrap", broker.bootstrap, "--topic", "alerts")

    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 1
    for offset in range(3):
        assert f"partition 0, offset {offset}: " in result.stderr
    assert "1 alert events, 3 records that are no alert event" in result.stderr


def test_a_topic_of_something_else_does_not_flood_the_terminal(broker: EmbeddedBroker) -> None:
    publish(broker, *[b"nonsense"] * 50)

    result = run("--bootstrap", broker.bootstrap, "--topic", "alerts")

    assert "50 records that are no alert event" in result.stderr
    assert result.stderr.count("partition 0, offset") == 10


def test_brokers_and_topic_may_come_from_the_configuration(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    publish(broker, make_event())
    config = tmp_path / "c.yaml"
    config.write_text(
        f"kafka: {{bootstrap_servers: '{broker.bootstrap}'}}\noutput: {{alerts_topic: alerts}}\n"
    )

    assert len(run("--config", str(config)).stdout.splitlines()) == 1


def test_bad_settings_are_the_operators_mistake() -> None:
    result = run("--bootstrap", "localhost:1", "--topic", "no spaces allowed")

    assert isinstance(result.exception, ConfigError)


def test_absent_brokers_are_told_of_and_end_in_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAM_VAE_KAFKA__BROKER_DEADLINE_S", "0.5")

    result = run("--bootstrap", "127.0.0.1:1", "--topic", "alerts")

    assert isinstance(result.exception, KafkaUnavailableError)
    told = [line for line in result.stderr.splitlines() if line.startswith("waiting")]
    assert "waiting for a broker at 127.0.0.1:1, " in told[0]
    assert "reading topic 'alerts'" in told[0]
    assert len(told) == len(set(told)), "no reason is repeated"
    assert "gave up after 0.5 s" in str(result.exception)


def test_a_leader_that_is_away_is_told_of_and_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another broker tells where the partition is, so that not all are away."""
    with EmbeddedBroker({"alerts": 1}, n_brokers=2) as brokers:
        brokers.lead("alerts", 0, 2)
        publish(brokers, make_event())
        brokers.go_down(2)
        record = BrokerNotices.record

        def come_back(notices: BrokerNotices, event: Event) -> None:
            record(notices, event)
            brokers.come_up(2)

        monkeypatch.setattr(BrokerNotices, "record", come_back)
        result = run("--bootstrap", brokers.bootstrap, "--topic", "alerts")
    assert result.exit_code == 0, result.exception
    assert "pump-7" in result.stdout
    assert "waiting for a broker at" in result.stderr
    assert "a broker answers again" in result.stderr


@pytest.mark.slow
def test_a_follower_shows_events_as_they_come_and_ends_well_on_ctrl_c(
    broker: EmbeddedBroker,
) -> None:
    # Who runs the tests in the background may have them ignore Ctrl-C; the follower must not.
    heeding = ["env", "--default-signal=INT"]
    command = [*heeding, sys.executable, "-m", "stream_vae", "alerts", "--follow", "--json"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("STREAM_VAE_")}
    with subprocess.Popen(
        [*command, "--bootstrap", broker.bootstrap, "--topic", "alerts"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as follower:
        assert follower.stdout is not None
        assert follower.stderr is not None
        seen = []
        for sequence in range(2):
            publish(broker, make_event(sequence=sequence))
            seen.append(json.loads(follower.stdout.readline())["sequence"])
        follower.send_signal(signal.SIGINT)
        code = follower.wait(20)
        said = follower.stderr.read()

    assert seen == [0, 1]
    assert code == 0
    assert said.strip() == "2 alert events"


def test_a_topic_that_is_not_there_yet_is_made_by_the_daemon(broker: EmbeddedBroker) -> None:
    result = run("--bootstrap", broker.bootstrap, "--topic", "none-yet")
    assert isinstance(result.exception, TopicMissingError)
    assert "'none-yet' does not exist" in str(result.exception)
    assert str(result.exception).endswith("the daemon makes it when it first starts")
