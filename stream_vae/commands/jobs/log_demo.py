"""Logs, once: real lines of clients whose broker is disturbed, on embedded brokers."""

import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TimeRemainingColumn

from stream_vae.commands.jobs.broker_notices import BrokerNotices
from stream_vae.commands.jobs.demo_daemon import (
    all_alerts,
    demo_topics,
    make_out,
    running_daemon,
    write_config,
)
from stream_vae.commands.jobs.demo_page import PAGE, stay_for_page, tell_page
from stream_vae.commands.jobs.histories import read_history, to_batch
from stream_vae.commands.jobs.line_recorder import LineRecorder
from stream_vae.commands.jobs.log_demo_phases import Phase, Schedule, phases_of
from stream_vae.commands.jobs.log_demo_report import (
    Disturbance,
    LogDemo,
    disturbance_table,
    log_demo_table,
    write_picture,
)
from stream_vae.commands.jobs.log_history import of_logs, open_logs, read_logs
from stream_vae.commands.jobs.offline import open_pipeline
from stream_vae.commands.jobs.terminal import TaskText, open_console, styled
from stream_vae.commands.jobs.train_progress import train_with_progress
from stream_vae.commands.options import FileOptions
from stream_vae.edges.files.bundle_files import check_bundle_target, save_bundle
from stream_vae.edges.files.csv_header import ColumnChoice
from stream_vae.edges.files.outputs import AlertsWriter, whole_file
from stream_vae.edges.files.training_data import to_training_series
from stream_vae.edges.kafka.embedded import EmbeddedBroker
from stream_vae.edges.kafka.observed_clients import LogLine, ObservedClients
from stream_vae.edges.kafka.produce.reading_feed import EncodedReading, publish_readings
from stream_vae.edges.kafka.read.topic_reader import read_topic
from stream_vae.evaluate.history import run_history
from stream_vae.models.bundle import Bundle
from stream_vae.models.device import limit_threads
from stream_vae.settings import Settings, load_settings
from stream_vae.wire.alert_deduplicator import AlertDeduplicator
from stream_vae.wire.alert_text import format_alert
from stream_vae.wire.alerts import decode_alert

_TOPIC = "demo.lines"
_ORDERS = "orders"
_INSTANCES = ("shop-1", "shop-2", "shop-3")
_STEP_S = 1.0
_SETTLING_S = 8.0
"""Until the clients have joined their group and know each other."""
_TRAINING_S = 60.0
_TOLD_PERIOD_S = 10.0
_WHAT_COMES = "The broker is slowed in a few seconds, and goes down later."

_READS: dict[str, Any] = {
    "topic": _TOPIC,
    "format": "log_lines",
    "timestamp_pattern": r"^(\S+) ",
    "series_pattern": r"^\S+ (\S+) ",
    # Without the names of client and thread: what one instance says, the others say too.
    "message_pattern": r"^\S+ \S+ \S+ \[[^]]*\] \[[^]]*\]: (.*)",
}
_MODEL: dict[str, Any] = {
    "model": {"window_length": 6, "hidden_size": 16, "latent_size": 4},
    "training": {"stride": 1, "min_steps": 300, "batch_size": 32},
}
"""A window of some seconds, for a minute of history."""


def run_log_demo(out: Path, *, page: bool = False) -> None:
    """Train on lines of normal work, disturb the broker, and hold the alerts against that.

    Args:
        out: Folder of what is left.
        page: Serve the live page, and stay until Ctrl-C.
    """
    console = open_console(width=None if sys.stdout.isatty() else 110)
    started = time.monotonic()
    make_out(out)
    check_bundle_target(out / "bundle", replace=True)
    limit_threads(1)
    recorder = LineRecorder()
    with (
        EmbeddedBroker(demo_topics(_TOPIC)) as broker,
        EmbeddedBroker({_ORDERS: len(_INSTANCES)}) as observed,
        ObservedClients(observed.bootstrap, _ORDERS, _INSTANCES, recorder.take),
        _restored(observed),
    ):
        more = _MODEL | (PAGE if page else {})
        config = write_config(out, broker.bootstrap, _READS, more)
        settings = load_settings(config=config, environ={}).settings
        console.rule("1. Watch normal work")
        console.print(
            f"{len(_INSTANCES)} instances of a service, each a producer and a consumer of a broker "
            "of their own, write librdkafka's debug log."
        )
        n_trained = _record_normal_work(recorder, out / "normal.log", console)
        console.rule("2. Train on its lines")
        bundle = _train(out / "normal.log", settings, console)
        console.rule("3. Disturb the broker; the daemon reads the lines from another one")
        disturbances, n_streamed = _stream(
            settings, config, out, phases_of(observed), recorder, console
        )
        received = all_alerts(settings, console)
    with whole_file(out / "alerts.jsonl") as file:
        for event in received:
            AlertsWriter(file).write(event)
    n_offline = _draw(bundle, settings, out, disturbances)
    demo = LogDemo(
        disturbances=disturbances,
        events=tuple(received),
        instances=_INSTANCES,
    )
    console.rule("4. What was found")
    console.print(disturbance_table(demo))
    console.print(
        log_demo_table(
            demo,
            bundle,
            n_trained=n_trained,
            n_streamed=n_streamed,
            n_offline=n_offline,
            seconds=time.monotonic() - started,
        )
    )
    _print_next_steps(console, out)


@contextmanager
def _restored(observed: EmbeddedBroker) -> Iterator[None]:
    """Let the broker answer again whatever happens, since clients cannot end without it."""
    try:
        yield
    finally:
        observed.slow_down(0)
        observed.come_up()


def _record_normal_work(recorder: LineRecorder, path: Path, console: Console) -> int:
    """Record lines for training; return how many."""
    with _progress(console) as bar:
        _await(_SETTLING_S, "clients settle", bar)
        with recorder.recording(path):
            _await(_TRAINING_S, "lines of normal work", bar)
    console.print(f"{recorder.n:,} lines, {recorder.n / _TRAINING_S:,.0f} a second, in {path}")
    return recorder.n


def _await(seconds: float, what: str, bar: Progress) -> None:
    """Sleep, and show how long still; off a terminal by a line now and then."""
    task = bar.add_task(what, total=seconds)
    began, told_at = time.monotonic(), 0.0
    while (waited := time.monotonic() - began) < seconds:
        if not bar.console.is_terminal and waited >= told_at:
            bar.console.print(f"{what}: {seconds - told_at:.0f} s more")
            told_at += _TOLD_PERIOD_S
        bar.update(task, completed=waited)
        time.sleep(0.1)
    bar.update(task, completed=seconds)


def _progress(console: Console) -> Progress:
    return Progress(TaskText(), BarColumn(), TimeRemainingColumn(), console=console)


def _train(path: Path, settings: Settings, console: Console) -> Bundle:
    """Fit and save the model as `stream-vae train --input normal.log --step-seconds 1` does."""
    history = read_logs(
        lambda choice: open_logs([path], choice, FileOptions(), settings),
        ColumnChoice(),
        settings,
        step_seconds=_STEP_S,
        before=None,
        now_ns=time.time_ns(),
    )
    series, data = to_training_series(
        history.readings, history.step_seconds, max_gap=settings.detect.max_gap
    )
    trained = train_with_progress(
        series,
        features=list(data.features),
        step_seconds=data.step_seconds,
        architecture=settings.model.architecture,
        training=settings.training,
        model_id="client-log",
        console=console,
    )
    bundle = trained.bundle if history.logs is None else of_logs(trained.bundle, history.logs.spec)
    save_bundle(bundle, settings.bundle.path)
    return bundle


def _stream(
    settings: Settings,
    config: Path,
    out: Path,
    phases: Sequence[Phase],
    recorder: LineRecorder,
    console: Console,
) -> tuple[tuple[Disturbance, ...], int]:
    """Run the daemon on the lines through all phases, and print its alerts as they come.

    Returns:
        The disturbances, and the number of lines published.
    """
    lines: SimpleQueue[EncodedReading | None] = SimpleQueue()

    def publish(line: LogLine) -> None:
        lines.put(EncodedReading(key=None, value=line.text.encode(), time_ns=line.time_ns))

    notices = BrokerNotices(console, settings.kafka.bootstrap_servers)
    log, page = out / "daemon.log", settings.page.enabled
    with (
        running_daemon(config, log, stop_within_s=settings.shutdown_deadline_s),
        ThreadPoolExecutor(1) as publisher,
    ):
        try:
            if page:
                tell_page(log, console, _WHAT_COMES)
            publishing = publisher.submit(
                publish_readings, settings.kafka, _TOPIC, iter(lines.get, None), notices
            )
            with _progress(console) as bar, recorder.recording(out / "streamed.log", publish):
                schedule = Schedule(phases, bar)
                _show_alerts(settings, schedule, bar)
        finally:
            lines.put(None)
        published = publishing.result()
        if page:
            stay_for_page(console)
    console.print("daemon asked to stop (SIGTERM): drained, committed, exit code 0")
    return schedule.disturbances, published


def _show_alerts(settings: Settings, schedule: Schedule, bar: Progress) -> None:
    seen = AlertDeduplicator()
    for record in read_topic(
        settings.kafka,
        settings.output.alerts_topic,
        BrokerNotices(bar.console, settings.kafka.bootstrap_servers),
        follow=True,
        stop=schedule.advance,
    ):
        event = decode_alert(record.value or b"")
        if seen.is_new(event):
            bar.console.print(format_alert(event), highlight=False, soft_wrap=True)


def _draw(
    bundle: Bundle, settings: Settings, out: Path, disturbances: Sequence[Disturbance]
) -> int:
    """Score the streamed lines offline and draw them; return the incidents found there."""
    readings = read_history([out / "streamed.log"], bundle.spec, settings=settings.input)
    pipeline = open_pipeline(
        bundle, settings, capacity=len(_INSTANCES), instance="offline", with_log_probability=True
    )
    history = run_history(pipeline, to_batch(readings), now=datetime.now(UTC))
    write_picture(out / "anomalies.png", history, bundle.spec, disturbances)
    return len(history.incidents)


def _print_next_steps(console: Console, out: Path) -> None:
    console.print(
        styled("In ", (str(out), "bold"), ": normal.log, streamed.log, alerts.jsonl, ")
        + "anomalies.png, bundle/, daemon.yaml, daemon.log\n"
        "The lines are real and new each time; the disturbances are gross, so this shows how it "
        "works, not how well.\n"
        "Next, with your own log (its time is found by `timestamp_pattern`, see README, Logs):\n"
        "  stream-vae train --input app.log --config logs.yaml --bundle bundle/\n"
        "  stream-vae score --bundle bundle/ --input later.log --config logs.yaml "
        "--output scores.csv --alerts alerts.jsonl"
    )
