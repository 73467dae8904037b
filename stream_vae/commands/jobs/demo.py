"""The whole job, once, on an embedded broker and real data."""

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn
from river.datasets import WaterFlow

from stream_vae.commands.jobs.broker_notices import BrokerNotices
from stream_vae.commands.jobs.demo_daemon import (
    all_alerts,
    demo_topics,
    make_out,
    running_daemon,
    write_config,
)
from stream_vae.commands.jobs.demo_page import PAGE, stay_for_page, tell_page
from stream_vae.commands.jobs.demo_report import (
    FEATURE,
    STEP_S,
    TRAINED_ON,
    Offline,
    closing_table,
    incident_table,
    write_files,
)
from stream_vae.commands.jobs.offline import open_pipeline
from stream_vae.commands.jobs.terminal import TaskText, open_console, styled
from stream_vae.commands.jobs.train_progress import train_with_progress
from stream_vae.core.alerts import AlertEvent
from stream_vae.core.readings import ReadingBatch
from stream_vae.edges.files.bundle_files import check_bundle_target, load_bundle, save_bundle
from stream_vae.edges.files.outputs import AlertsWriter, whole_file
from stream_vae.edges.files.training_data import SeriesArrays
from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.embedded import EmbeddedBroker
from stream_vae.edges.kafka.produce.reading_feed import EncodedReading, Pace, publish_readings
from stream_vae.edges.kafka.read.topic_reader import read_topic
from stream_vae.errors import StreamVaeError
from stream_vae.inputs.reading_encoder import ReadingEncoder
from stream_vae.models.device import limit_threads
from stream_vae.settings import Settings, load_settings
from stream_vae.wire.alert_deduplicator import AlertDeduplicator
from stream_vae.wire.alert_text import format_alert
from stream_vae.wire.alerts import decode_alert

_TOPIC = "demo.readings"
_SERIES = "pipeline-branch"
_RATE = 300.0
_WATCHED_RATE = 8.0
"""Readings a second that somebody watches: the first event comes after half a minute."""
_ALERT_WAIT_S = 30.0
_WHAT_COMES = (
    f"The first incident opens in about half a minute. {_WATCHED_RATE:.0f} readings come a second, "
    "of an hour each: what lasted four hours is over in half a second, and stays listed."
)


_DETECTION: dict[str, Any] = {
    "detect": {
        "profile": "multivariate",  # outages hide a peak of one hour from the likelihood
        "score": "fused",  # the flow's level moves within days, of an hour a reading
        "tracking": {"readings": 96},
        "threshold": {"quantile": 0.999},
        "max_gap": 3,
        "incident": {
            "open_after": 1,
            "open_within": 1,
            "resolve_after": 3,
            "min_deviation": 10.0,
        },
    },
    "model": {"window_length": 12, "hidden_size": 16, "latent_size": 4, "calendar": True},
    "training": {"stride": 1, "batch_size": 32},
}
"""Settings that suit one slow feature and three weeks of history."""


def run_demo(out: Path, *, page: bool = False) -> None:
    """Train, stream, consume and compare; leave the files in a folder.

    Args:
        out: The folder.
        page: Serve the live page, stream slowly enough to watch it, and stay until Ctrl-C.
    """
    console = open_console(width=None if sys.stdout.isatty() else 110)
    started = time.monotonic()
    make_out(out)
    check_bundle_target(out / "bundle", replace=True)
    limit_threads(1)
    training, rest = _water_flow()
    with EmbeddedBroker(demo_topics(_TOPIC)) as broker:
        more = _DETECTION | (PAGE if page else {})
        config = write_config(out, broker.bootstrap, {"topic": _TOPIC}, more)
        settings = load_settings(config=config, environ={}).settings
        console.rule("1. Train on a clean stretch")
        console.print(
            f"{len(training.times)} hourly readings, 2022-04-04 to 2022-04-23; the "
            f"{len(rest)} readings before and after them are streamed."
        )
        trained = train_with_progress(
            [training],
            features=[FEATURE],
            step_seconds=STEP_S,
            architecture=settings.model.architecture,
            training=settings.training,
            model_id="water-flow",
            console=console,
        )
        save_bundle(trained.bundle, settings.bundle.path)
        console.rule("2. Score the rest offline, to have something to hold the stream against")
        offline = _score_offline(settings, rest)
        write_files(out, rest, offline)
        console.print(f"{len(offline.alerts)} alert events expected")
        console.rule("3. Stream the rest through the daemon")
        received, rate = _stream(settings, config, out, rest, len(offline.alerts), console)
    with whole_file(out / "alerts.jsonl") as file:
        for event in received:
            AlertsWriter(file).write(event)
    console.rule("4. What was found")
    console.print(incident_table(received, offline, rest))
    console.print(closing_table(received, offline, rest, rate, time.monotonic() - started))
    _print_next_steps(console, out)
    if [_essence(event) for event in received] != [_essence(event) for event in offline.alerts]:
        msg = "the streamed alert events differ from the offline ones"
        raise StreamVaeError(msg)


def _water_flow() -> tuple[SeriesArrays, ReadingBatch]:
    """Return the clean stretch and everything else, in time order."""
    rows = [(round(x["Time"].timestamp()) * 10**9, flow) for x, flow in WaterFlow()]
    times = np.array([time for time, _ in rows], np.int64)
    values = np.array([flow for _, flow in rows])[:, None]
    clean = (times >= TRAINED_ON[0]) & (times < TRAINED_ON[1])
    n = int((~clean).sum())
    rest = ReadingBatch(
        topic=_TOPIC,
        partitions=np.zeros(n, np.int32),
        offsets=np.arange(n),
        series=[_SERIES] * n,
        times=times[~clean],
        arrivals=times[~clean],
        values=values[~clean],
    )
    return SeriesArrays(key=_SERIES, times=times[clean], values=values[clean]), rest


def _score_offline(settings: Settings, rest: ReadingBatch) -> Offline:
    model = load_bundle(settings.bundle.path)
    pipeline = open_pipeline(model, settings, capacity=1, instance="offline")
    outcome = pipeline.observe(rest, datetime.now(UTC))  # all readings are complete: none waits
    told = pipeline.told(outcome)
    columns = np.full((3, len(rest)), np.nan)
    columns[:, outcome.batch.scored.window_batch.ready] = (
        told.expected[:, 0],
        told.expected_std[:, 0],
        told.largest_deviation,
    )
    return Offline(
        verdicts=outcome.verdicts,
        alerts=outcome.alerts,
        expected=columns[0],
        expected_std=columns[1],
        deviation=columns[2],
    )


def _stream(
    settings: Settings,
    config: Path,
    out: Path,
    rest: ReadingBatch,
    n_expected: int,
    console: Console,
) -> tuple[list[AlertEvent], float]:
    """Run the daemon over the rest; return the alert events and the readings per second."""
    log = out / "daemon.log"
    page = settings.page.enabled
    with running_daemon(config, log, stop_within_s=settings.shutdown_deadline_s):
        if page:
            tell_page(log, console, _WHAT_COMES)
        began = time.monotonic()
        with _progress(console) as bar:
            pace = Pace(rate=_WATCHED_RATE if page else _RATE)
            _publish(settings.kafka, settings.input.topic, rest, bar, pace)
            rate = len(rest) / (time.monotonic() - began)
            _show_alerts(settings, n_expected, bar)
        if page:
            stay_for_page(console)
    console.print("daemon asked to stop (SIGTERM): drained, committed, exit code 0")
    return all_alerts(settings, console), rate


def _progress(console: Console) -> Progress:
    columns = (TaskText(), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeElapsedColumn(), console=console)


def _publish(
    config: KafkaConfig, topic: str, rest: ReadingBatch, bar: Progress, pace: Pace
) -> None:
    encoder = ReadingEncoder([FEATURE], load_settings(environ={}).settings.input)
    task = bar.add_task("readings published", total=len(rest))
    readings = (
        EncodedReading(
            key=series.encode(),
            value=encoder.encode(series=series, time_ns=time_ns, values=values),
            time_ns=time_ns,
        )
        for series, time_ns, values in zip(
            rest.series, rest.times.tolist(), rest.values.tolist(), strict=True
        )
    )
    publish_readings(
        config,
        topic,
        readings,
        BrokerNotices(bar.console, config.bootstrap_servers),
        pace=pace,
        on_progress=lambda count: bar.update(task, completed=count),
    )


def _show_alerts(settings: Settings, n_expected: int, bar: Progress) -> None:
    """Print alert events as they arrive, until the expected number is reached."""
    task = bar.add_task("alert events received", total=n_expected)
    seen = AlertDeduplicator()
    received: list[AlertEvent] = []
    for record in read_topic(
        settings.kafka,
        settings.output.alerts_topic,
        BrokerNotices(bar.console, settings.kafka.bootstrap_servers),
        follow=True,
        until_idle_s=_ALERT_WAIT_S,
        stop=lambda: len(received) >= n_expected,
    ):
        event = decode_alert(record.value or b"")
        if seen.is_new(event):
            received.append(event)
            bar.console.print(format_alert(event), highlight=False, soft_wrap=True)
            bar.update(task, completed=len(received))


def _essence(event: AlertEvent) -> dict[str, object]:
    """Return the fields that must be equal in two runs: all but clock and instance."""
    fields = {name: getattr(event, name) for name in AlertEvent.__slots__}
    del fields["detected_at"], fields["detector"]
    return fields


def _print_next_steps(console: Console, out: Path) -> None:
    console.print(
        styled("In ", (str(out), "bold"), ": alerts.jsonl, scores.csv, anomalies.png, bundle/, ")
        + "daemon.yaml, daemon.log\n"
        "The model saw only the clean stretch; the incident settings were chosen on this very data,"
        " so this shows how it works, not how well.\n"
        "Next, with your own data (a CSV with a column `timestamp`):\n"
        "  stream-vae train --input normal.csv --bundle bundle/\n"
        "  stream-vae score --bundle bundle/ --input more.csv --output scores.csv\n"
        "  stream-vae run --bundle bundle/\n"
        "The last consumes `stream-vae.readings` of a broker at localhost:9092; a configuration "
        "file says otherwise (--config, README)."
    )
