"""The whole daemon for half an hour: `python -m tests.benchmarks.soak --minutes 30`.

It reads a steady stream with incidents and damaged records in it from a real broker, is scraped
each second, has its page open twice and a forwarder behind it, and is looked at from outside: what
both hold must not grow. Nothing is asserted; the
table has the figures, those of memory and times from after a warm-up.
"""

import argparse
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from confluent_kafka import Producer
from rich.console import Console
from rich.table import Table

from tests.benchmarks.daemons import Counters, config_of
from tests.benchmarks.feed import Feed
from tests.benchmarks.latency import read_openings
from tests.benchmarks.soak_clients import OpenPage, Repeated, Scrapes, Webhook
from tests.benchmarks.soak_samples import ProcessSamples
from tests.benchmarks.workload import T, Workload
from tests.system.broker import RealKafka
from tests.system.harness import AS_USERS_START_IT, DaemonProcess, Topics, free_port

_SAMPLE_S = 10.0
_WARM_UP_S = 300.0
_SETTLE_S = 5.0  # for what is on its way at the end
_INCIDENTS: dict[str, object] = {
    "detect.incident.open_after": 1,  # so that an alert is owed at once, and its time is known
    "detect.incident.open_within": 1,
    "detect.incident.resolve_after": 2,
    "detect.incident.min_deviation": 5.0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A long run."""

    minutes: float
    rate: float
    """Readings a second."""
    n_series: int
    n_partitions: int
    seconds_per_incident: float
    has_page: bool

    @property
    def seconds(self) -> float:
        """How long the stream flows."""
        return self.minutes * 60

    @property
    def warm_up_s(self) -> float:
        """The first part, which no slope is fitted to: a third of a short run."""
        return min(_WARM_UP_S, self.seconds / 3)


@dataclass(kw_only=True)
class Soak:
    """A run while it goes on, and what was found."""

    plan: Plan
    workload: Workload
    kafka: RealKafka
    producer: Producer
    processes: dict[str, ProcessSamples] = field(default_factory=dict)
    opened: dict[tuple[str, int], float] = field(default_factory=dict)
    """Series and start of each incident -> when its first event was read."""
    n_damaged: int = 0
    warm_at: float = 0.0
    """When the warm-up was over, seconds since 1970."""

    def run(self) -> dict[str, str]:
        """Return the rows of the table."""
        plan = self.plan
        topics = Topics.create(self.kafka, partitions=plan.n_partitions)
        feed = Feed(
            kafka=self.kafka,
            topic=topics.input,
            n_series=plan.n_series,
            rate=plan.rate,
            spike_every=round(plan.rate * plan.seconds_per_incident),
        )
        page_port = free_port()
        shown = {"page.enabled": plan.has_page, "page.port": page_port}
        config = config_of(self.workload, self.kafka, topics, {**_INCIDENTS, **shown})
        feed.send_steps(T)
        with ExitStack() as stack:
            daemon = stack.enter_context(DaemonProcess(config, program=AS_USERS_START_IT))
            daemon.wait_for("state_restored", 60, count=plan.n_partitions)
            stack.enter_context(self._read_alerts(topics))
            webhook = stack.enter_context(Webhook())
            forwarder = stack.enter_context(self._forwarder(topics, webhook))
            forwarder.wait_for("daemon_ready", 60)
            pages = [OpenPage(page_port, key) for key in (None, "s0")]
            scrapes = Scrapes(daemon.http_port)
            with (
                feed,
                Repeated(scrapes.look),
                Repeated(lambda: self._damage(topics)),
                ExitStack() as open_pages,
            ):
                for page in pages if plan.has_page else ():
                    open_pages.enter_context(page)
                self._watch({"daemon": daemon.pid, "forwarder": forwarder.pid}, scrapes)
            time.sleep(_SETTLE_S)
            counters = Counters.of(daemon)
            codes = [forwarder.stop(), daemon.stop()]
            return {
                "stream": f"{plan.minutes:g} min of {plan.rate:,.0f} readings/s, {plan.n_series:,} "
                f"series, {plan.n_partitions} partitions; {counters.judged:,.0f} of "
                f"{feed.n_sent:,} readings judged, {counters.commits:,.0f} transactions, "
                f"{counters.cpu_s / plan.seconds:.0%} of a core",
                **self._held(),
                "reading to visible alert": _quantiles(self._latencies(feed, self.opened)),
                "reading to webhook": f"{_quantiles(self._latencies(feed, webhook.opened))}; "
                f"{webhook.n_events:,} events",
                "scrape": f"{_quantiles(scrapes.seconds)}; {scrapes.failed} failed, not ready in "
                f"{scrapes.not_ready}; lag at most {scrapes.longest_lag_s:.1f} s",
                "pages": "; ".join(
                    f"{dict(page.events)}, {page.n_bytes / plan.seconds / 1e3:,.1f} kB/s, "
                    f"failures {dict(page.failures)}"
                    for page in pages
                ),
                "damaged records": f"{self.n_damaged:,} sent",
                "warnings and errors": "; ".join(map(_complaints, (daemon, forwarder))),
                "end": f"exit codes {codes}, "
                f"{len(daemon.stray_lines) + len(forwarder.stray_lines)} lines past the logs",
            }

    def _forwarder(self, topics: Topics, webhook: Webhook) -> DaemonProcess:
        """Start `stream-vae forward` as a process of its own."""
        receiver = {
            "forward.to": "webhook",
            "forward.url": webhook.url,
            "output.dead_letter_topic": f"{topics.group}.undelivered",
        }
        config = config_of(self.workload, self.kafka, topics, receiver)
        return DaemonProcess(config, program=AS_USERS_START_IT, command="forward")

    @contextmanager
    def _read_alerts(self, topics: Topics) -> Iterator[None]:
        done = threading.Event()
        reader = threading.Thread(
            target=read_openings, args=(self.kafka, topics, self.opened, done), daemon=True
        )
        reader.start()
        yield
        done.set()
        reader.join(30)

    def _watch(self, pids: dict[str, int], scrapes: Scrapes) -> None:
        self.processes = {name: ProcessSamples(pid=pid) for name, pid in pids.items()}
        began = time.monotonic()
        n_samples = int(self.plan.seconds / _SAMPLE_S) + 1
        for i in range(n_samples):
            time.sleep(max(0.0, began + i * _SAMPLE_S - time.monotonic()))
            if not self.warm_at and time.monotonic() >= began + self.plan.warm_up_s:
                self.warm_at = time.time()
                scrapes.begin_anew()
            for samples in self.processes.values():
                samples.sample()

    def _held(self) -> dict[str, str]:
        return {
            f"{process}: {quantity}": str(growth)
            for process, samples in self.processes.items()
            for quantity, growth in samples.growth(warm_up_s=self.plan.warm_up_s).items()
        }

    def _damage(self, topics: Topics) -> None:
        """Send one record that is no reading: the way of dead letters must not leak either."""
        self.producer.produce(topics.input, b"damaged %d" % self.n_damaged, b"s0")
        self.producer.poll(0)
        self.n_damaged += 1

    def _latencies(self, feed: Feed, opened: dict[tuple[str, int], float]) -> list[float]:
        return [
            opened[key] - at
            for key, at in feed.sent.items()
            if at >= self.warm_at and key in opened
        ]


def _quantiles(seconds: list[float]) -> str:
    if not seconds:
        return "none"
    p50, p95, p99 = np.quantile(seconds, [0.5, 0.95, 0.99]) * 1e3
    largest = max(seconds) * 1e3
    return (
        f"p50 {p50:.0f} ms, p95 {p95:.0f}, p99 {p99:.0f}, longest {largest:.0f} of {len(seconds):,}"
    )


def _complaints(daemon: DaemonProcess) -> str:
    events = [one for one in daemon.events if one.get("level") in {"warning", "error"}]
    found = Counter[str]()
    for event in events:
        found[event["event"]] += event.get("count", 1)
    return ", ".join(f"{name} {n:,}" for name, n in found.most_common()) or "none"


def main() -> None:
    """Run and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=1000.0, help="readings a second")
    parser.add_argument("--series", type=int, default=200)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--seconds-per-incident", type=float, default=1.0)
    parser.add_argument("--page", action=argparse.BooleanOptionalAction, default=True)
    arguments = parser.parse_args()
    plan = Plan(
        minutes=arguments.minutes,
        rate=arguments.rate,
        n_series=arguments.series,
        n_partitions=arguments.partitions,
        seconds_per_incident=arguments.seconds_per_incident,
        has_page=arguments.page,
    )
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        workload = Workload.create(
            Path(folder), n_series=plan.n_series, n_readings=0, hidden_size=32
        )
        kafka = RealKafka.create(Path(folder) / "kafka")
        try:
            rows = Soak(plan=plan, workload=workload, kafka=kafka, producer=kafka.producer()).run()
        finally:
            kafka.stop()
    table = Table("measure", "figure", title="soak", title_justify="left")
    for label, figure in rows.items():
        table.add_row(label, figure)
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
