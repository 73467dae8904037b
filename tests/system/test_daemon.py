"""The whole daemon as a process, on a real broker: what goes in comes out, once."""

import csv
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np

from stream_vae.edges.files.outputs import SCORE_COLUMNS
from stream_vae.wire.alerts import alert_schema
from tests.system.broker import KafkaCluster, Record
from tests.system.forked_process import Command
from tests.system.harness import (
    FEATURES,
    START_NS,
    STEP_S,
    DaemonProcess,
    Topics,
    as_records,
    make_config,
    sine_values,
    with_anomaly,
)

Alert = dict[str, Any]


def run_program(folder: Path, *arguments: object) -> str:
    with Command(arguments, folder) as command:
        done = command.wait()
    assert done.code == 0, done.out + done.err
    return done.out


def await_processed(daemon: DaemonProcess, n_records: int, timeout_s: float = 60.0) -> None:
    """Wait until the daemon has consumed so many records and judged or rejected each of them."""
    deadline = 0.0
    seen = 0
    while seen < n_records:
        summary = daemon.wait_for("summary", timeout_s, count=len(daemon.find("summary")) + 1)
        seen = sum(e["readings"] + e["rejected"] for e in daemon.find("summary"))
        deadline += 1
        assert deadline < timeout_s, f"{seen} of {n_records} records: {summary}"


def read_alerts(kafka: KafkaCluster, topics: Topics) -> list[Alert]:
    """Return all committed alert events, each held against the schema."""
    events = []
    for message in kafka.consume_all(topics.alerts):
        event = json.loads(message.value() or b"")
        jsonschema.validate(event, alert_schema())
        assert message.key() == event["series"]["key"].encode()
        assert dict(message.headers() or [])["ce_id"] == (
            f"{event['incident_id']}.{event['sequence']}".encode()
        )
        events.append(event)
    return events


def identities(events: list[Alert]) -> list[tuple[str, int]]:
    return [(event["incident_id"], event["sequence"]) for event in events]


def write_csv(path: Path, values: np.ndarray, series: str) -> Path:
    times = (np.arange(len(values)) * STEP_S * 10**9 + START_NS).astype("M8[ns]").astype("M8[s]")
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["timestamp", "series", *FEATURES])
        rows.writerows(
            [f"{t}Z", series, *row] for t, row in zip(times, values.tolist(), strict=True)
        )
    return path


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


def test_what_is_fed_comes_out_as_the_alerts_that_score_gives(
    kafka: KafkaCluster, topics: Topics, small_bundle: Path, tmp_path: Path
) -> None:
    """Fed, run, scored and read by the program's own commands."""
    values = with_anomaly(sine_values(300, seed=11), at=200)
    data = write_csv(tmp_path / "data.csv", values, "pump-7")
    config = make_config(tmp_path, kafka, topics, small_bundle)
    brokers = ("--bootstrap", kafka.bootstrap)
    run_program(tmp_path, "feed", "--input", data, *brokers, "--topic", topics.input)
    with DaemonProcess(config) as daemon:
        await_processed(daemon, 300)
        assert get(daemon.http_port, "/livez")[0] == 200
        assert get(daemon.http_port, "/readyz")[0] == 200
        metrics = get(daemon.http_port, "/metrics")[1]
        labels = f'detector="stream-vae",topic="{topics.input}"'
        assert f"stream_vae_records_consumed_total{{{labels}}} 300.0" in metrics
        assert daemon.stop() == 0
        assert daemon.stray_lines == [], "every line is a JSON event"
        assert len(daemon.find("daemon_started")) == 1
        assert daemon.find("state_restored")[0]["state"] == "cold"
    streamed = read_alerts(kafka, topics)
    assert [event["status"] for event in streamed][-1] == "resolved"
    assert streamed[0]["features"][0]["name"] == "flow"
    for event in streamed:
        assert abs(sum(f["contribution"] for f in event["features"]) - 1) < 1e-6
    run_program(
        tmp_path,
        *("score", "--bundle", small_bundle, "--input", data, "--config", config),
        *("--output", tmp_path / "scores.csv", "--alerts", tmp_path / "alerts.jsonl"),
    )
    offline = [json.loads(line) for line in (tmp_path / "alerts.jsonl").read_text().splitlines()]
    for event in (*streamed, *offline):
        del event["detected_at"], event["detector"]["instance"]
        event["source"].update(topic="", partition=0)
    assert streamed == offline
    assert (tmp_path / "scores.csv").read_text().startswith(",".join(SCORE_COLUMNS))
    printed = run_program(tmp_path, "alerts", *brokers, "--topic", topics.alerts, "--json")
    assert identities([json.loads(line) for line in printed.splitlines()]) == identities(streamed)
    assert kafka.committed(topics.group, topics.input) == {0: 300}


GOOD = as_records(sine_values(60, seed=5), "good")

BAD: dict[str, Record] = {
    "not_json": (b"k", b"{"),
    "not_an_object": (b"k", b"[1,2]"),
    "timestamp_missing": (b"k", b'{"flow":1}'),
    "timestamp_out_of_range": (b"k", b'{"timestamp":"1066-10-14T00:00:00Z","flow":1}'),
    "timestamp_in_future": (b"k", b'{"timestamp":"2199-01-01T00:00:00Z","flow":1}'),
    "value_not_a_number": (b"k", b'{"timestamp":"2026-01-01T00:00:00Z","flow":"fast"}'),
    "value_out_of_range": (b"k", b'{"timestamp":"2026-01-01T00:00:00Z","flow":1e400}'),
    "too_large": (b"k", b'{"timestamp":"' + b"x" * 10_000_000 + b'"}'),
    "too_deep": (b"k", b'{"a":' * 20_000 + b"1" + b"}" * 20_000),
    "not_utf8": (b"k", b'{"timestamp":"\xff"}'),
    "null_value": (b"k", None),
    "key_missing": (None, b'{"timestamp":"2026-01-01T00:00:00Z","flow":1}'),
    "key_not_utf8": (b"\xff", b'{"timestamp":"2026-01-01T00:00:00Z","flow":1}'),
}


def test_what_is_no_reading_goes_to_the_dead_letters_untouched_and_once(
    kafka: KafkaCluster, topics: Topics, small_bundle: Path, tmp_path: Path
) -> None:
    """Good records around the bad ones are all judged."""
    kafka.produce(topics.input, GOOD[:30])
    kafka.produce(topics.input, BAD.values(), headers=[("trace", b"\x00\x01")])
    kafka.produce(topics.input, GOOD[30:])
    n = len(GOOD) + len(BAD)
    with DaemonProcess(make_config(tmp_path, kafka, topics, small_bundle)) as daemon:
        await_processed(daemon, n)
        metrics = get(daemon.http_port, "/metrics")[1]
        assert daemon.stop() == 0
        readings = sum(event["readings"] for event in daemon.find("summary"))
    assert readings == len(GOOD)
    letters = kafka.consume_all(topics.dead_letters)
    found = {}
    for letter in letters:
        headers: Any = letter.headers()
        assert headers[0] == ("trace", b"\x00\x01"), "the original ones come first"
        named = dict(headers[1:])
        assert named["dlq.source.topic"] == topics.input.encode()
        found[named["dlq.reason"].decode()] = (letter.key(), letter.value())
    assert len(letters) == len(BAD)
    assert found == BAD
    for reason in BAD:
        assert f'reason="{reason}",topic="{topics.input}"}} 1.0' in metrics
    assert kafka.committed(topics.group, topics.input) == {0: n}


def test_awkward_readings_never_spoil_an_event(
    kafka: KafkaCluster, topics: Topics, small_bundle: Path, tmp_path: Path
) -> None:
    """Late, repeated, with gaps, a feature missing for long, constant, or 10^12."""
    values = sine_values(200, seed=6)
    values[50:-1, 2] = np.nan  # the last step is complete: it waits for nothing
    values[120:123, 0] = 1e12
    flat = sine_values(60, seed=7)
    flat[:, 1] = 3.0
    records = as_records(values, "pump")
    kafka.produce(topics.input, as_records(flat, "flat"))
    kafka.produce(topics.input, [*records[:80], *records[75:78], *records[84:], records[150]])
    with DaemonProcess(make_config(tmp_path, kafka, topics, small_bundle)) as daemon:
        await_processed(daemon, 60 + 80 + 3 + 116 + 1)
        assert daemon.stop() == 0
    events = read_alerts(kafka, topics)
    assert any(f["actual"] == 1e12 for event in events for f in event["features"])
    late = kafka.consume_all(topics.late)
    assert [message.value() for message in late] == [r[1] for r in (*records[75:78], records[150])]


def test_aborted_readings_are_never_consumed(
    kafka: KafkaCluster, topics: Topics, small_bundle: Path, tmp_path: Path
) -> None:
    """Control: a reader of uncommitted records sees them."""
    producer = kafka.producer(**{"transactional.id": topics.group})
    producer.init_transactions(20)
    for begin, commit in ((0, True), (20, False), (20, True)):
        producer.begin_transaction()
        for key, value in GOOD[begin : begin + 20]:
            producer.produce(topics.input, value, key)
        producer.flush(10)
        if commit:
            producer.commit_transaction(20)
        else:
            producer.abort_transaction(20)
    assert len(kafka.consume_all(topics.input, isolation="read_uncommitted")) == 60
    with DaemonProcess(make_config(tmp_path, kafka, topics, small_bundle)) as daemon:
        await_processed(daemon, 40)
        assert daemon.stop() == 0
        assert sum(event["readings"] for event in daemon.find("summary")) == 40
    assert kafka.consume_all(topics.late) == [], "read twice, the aborted ones would be late"


def test_secrets_stand_in_no_log_and_no_metric(
    kafka: KafkaCluster, topics: Topics, small_bundle: Path, tmp_path: Path
) -> None:
    config = make_config(
        tmp_path, kafka, topics, small_bundle, {"kafka.common": {"ssl.key.password": "hunter2"}}
    )
    with DaemonProcess(config, {"STREAM_VAE_KAFKA__PRODUCER__SASL_PASSWORD": "hunter3"}) as daemon:
        daemon.wait_for("partitions_assigned", 60)
        shown = daemon.find("daemon_started")[0]["settings"]
        metrics = get(daemon.http_port, "/metrics")[1]
        assert daemon.stop() == 0
        log = daemon.log.read_text()
    assert shown["kafka.common"]["ssl.key.password"].startswith("***")
    for text in (log, metrics):
        assert "hunter" not in text
