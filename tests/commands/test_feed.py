"""`stream-vae feed` against a broker."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from stream_vae.commands.feed import feed
from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.embedded import EmbeddedBroker
from stream_vae.edges.kafka.read.topic_reader import TopicRecord, read_topic
from stream_vae.errors import ConfigError, InputFileError, KafkaUnavailableError
from tests.recorded_events import RecordedEvents

ROWS = """timestamp,series,flow,level,label
2026-01-01T00:01:00Z,b,2.5,,0
2026-01-01T00:00:00Z,a,1.5,3,1
2026-01-01T00:02:00Z,a,nan,4,0
"""


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker({"readings": 1}) as broker:
        yield broker


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "pumps.csv"
    path.write_text(ROWS)
    return path


def run(*arguments: str | Path) -> Result:
    app = typer.Typer()
    app.command()(feed)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def published(broker: EmbeddedBroker) -> list[TopicRecord]:
    config = KafkaConfig(bootstrap_servers=broker.bootstrap)
    return list(read_topic(config, "readings", RecordedEvents(), follow=False))


def content(records: list[TopicRecord]) -> list[tuple[bytes | None, dict[str, Any]]]:
    return [(r.key, json.loads(r.value or b"null")) for r in records]


def test_lines_of_a_log_are_records_as_they_are_paced_by_their_times(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    path, config = tmp_path / "app.log", tmp_path / "c.yaml"
    lines = ["2026-01-01T00:00:00Z up \x1b[1m", "no time", "2026-01-01T00:05:00Z down"]
    path.write_text("".join(f"{line}\n" for line in lines))
    config.write_text("input: {timestamp_pattern: '^(\\S+) '}\n")
    to = ("--bootstrap", broker.bootstrap, "--topic", "readings")
    began = time.monotonic()
    result = run("--input", path, *to, "--config", config, "--speed", "3000", "--key", "web-1")
    assert result.exit_code == 0, result.stderr
    assert time.monotonic() - began >= 0.1
    assert "3 lines published to readings" in result.stderr
    found = published(broker)
    assert [one.value for one in found] == [line.encode() for line in lines]
    assert {one.key for one in found} == {b"web-1"}


def test_where_the_configuration_names_the_series_it_is_the_key_of_all(
    broker: EmbeddedBroker, table: Path, tmp_path: Path
) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("input: {series: plant, topic: readings}\n")
    result = run("--input", table, "--bootstrap", broker.bootstrap, "--config", config)
    assert result.exit_code == 0, result.stderr
    assert [one.key for one in published(broker)] == [b"plant"] * 3


def test_each_row_is_a_record_keyed_by_its_series(broker: EmbeddedBroker, table: Path) -> None:
    """Missing cells are left out, the label is not published."""
    result = run("--input", table, "--bootstrap", broker.bootstrap, "--topic", "readings")

    assert result.exit_code == 0
    assert "3 readings published to readings" in result.stderr
    assert content(published(broker)) == [
        (b"b", {"timestamp": "2026-01-01T00:01:00Z", "flow": 2.5}),
        (b"a", {"timestamp": "2026-01-01T00:00:00Z", "flow": 1.5, "level": 3.0}),
        (b"a", {"timestamp": "2026-01-01T00:02:00Z", "level": 4.0}),
    ]


def test_with_a_speed_rows_go_out_in_the_order_of_their_times(
    broker: EmbeddedBroker, table: Path
) -> None:
    """Control: without it, as the test above shows, they go out in file order."""
    run(
        "--input", table, "--bootstrap", broker.bootstrap, "--topic", "readings",
        "--speed", "100000",
    )  # fmt: skip

    times = [record["timestamp"] for _, record in content(published(broker))]
    assert times == sorted(times)
    assert len(times) == 3


@pytest.mark.parametrize(("flags", "expected"), [((), b"pumps"), (("--key", "p7"), b"p7")])
def test_a_file_without_series_is_one_series(
    broker: EmbeddedBroker, tmp_path: Path, flags: tuple[str, ...], expected: bytes
) -> None:
    path = tmp_path / "pumps.csv"
    path.write_text("timestamp,flow\n0,1\n1,2\n")

    run("--input", path, "--bootstrap", broker.bootstrap, "--topic", "readings", *flags)

    assert [record.key for record in published(broker)] == [expected, expected]


def test_a_key_does_not_rename_the_series_a_file_names(broker: EmbeddedBroker, table: Path) -> None:
    run(
        "--input", table, "--bootstrap", broker.bootstrap, "--topic", "readings", "--key", "p7"
    )  # fmt: skip

    assert [record.key for record in published(broker)] == [b"b", b"a", b"a"]


def test_records_look_as_the_configuration_says(
    broker: EmbeddedBroker, table: Path, tmp_path: Path
) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(
        f"kafka: {{bootstrap_servers: '{broker.bootstrap}'}}\n"
        "input: {topic: readings, format: vector, timestamp_format: ms, series_field: host}\n"
    )

    run("--input", table, "--config", config)

    assert content(published(broker))[0] == (
        b"b",
        {"timestamp": 1_767_225_660_000, "host": "b", "values": [2.5, None]},
    )


def test_two_paces_are_the_operators_mistake(table: Path) -> None:
    result = run("--input", table, "--rate", "5", "--speed", "5")

    assert isinstance(result.exception, ConfigError)


def test_absent_brokers_are_told_of_with_address_and_deadline(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAM_VAE_KAFKA__BROKER_DEADLINE_S", "0.5")

    result = run("--input", table, "--bootstrap", "127.0.0.1:1")

    assert isinstance(result.exception, KafkaUnavailableError)
    assert "waiting for a broker at 127.0.0.1:1, " in result.stderr
    assert "gave up after 0.5 s" in str(result.exception)


def test_an_unusable_file_is_refused_before_any_broker_is_asked(tmp_path: Path) -> None:
    result = run("--input", tmp_path / "absent.csv", "--bootstrap", "127.0.0.1:1")

    assert isinstance(result.exception, InputFileError)


def test_text_is_published_as_it_stands_where_it_is_text(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    """Events without a time happen now; numbers declared categorical keep their zeros."""
    people, config = tmp_path / "people.csv", tmp_path / "events.yaml"
    people.write_text("city,zip,smokes,age\n north,007,True,30\n,010,False,31.5\n")
    config.write_text("model: {window_length: 1, features: {zip: categorical}}\n")
    arguments = ("--bootstrap", broker.bootstrap, "--topic", "readings", "--config", config)
    result = run("--input", people, *arguments)
    assert result.exit_code == 0, result.output
    records = content(published(broker))
    times = [record.pop("timestamp") for _, record in records]
    assert times == sorted(times)
    assert times[0] > "2026"
    assert records == [
        (b"people", {"city": "north", "zip": "007", "smokes": 1.0, "age": 30.0}),
        (b"people", {"zip": "010", "smokes": 0.0, "age": 31.5}),
    ]
