"""Readings at a steady rate, while a daemon works."""

import threading
import time
from dataclasses import dataclass, field

import numpy as np

from stream_vae.core.model_spec import numeric_features
from stream_vae.inputs.reading_encoder import ReadingEncoder
from stream_vae.inputs.reading_format import ReadingFormat
from tests.benchmarks.workload import NAMES, START_NS, STEP_NS, F, T, signal
from tests.system.broker import RealKafka

_BURST_S = 0.002  # shorter waits would cost more than they even out
_PERIOD = 128  # steps after which a series' values come again


@dataclass(kw_only=True)
class Feed:
    """Every series once a step, over and over, in a thread of its own.

    Args:
        kafka: The brokers.
        topic: Where to.
        n_series: S
        rate: Readings a second.
        spike_every: Steps of a series from one anomalous reading to the next; None has none.
    """

    kafka: RealKafka
    topic: str
    n_series: int
    rate: float
    spike_every: int | None = None
    step: int = 0
    """Next to be sent."""
    n_sent: int = 0
    sent: dict[tuple[str, int], float] = field(default_factory=dict)
    """Series and event time in seconds of each anomalous reading -> when it was produced."""

    def __post_init__(self) -> None:
        """Prepare values and client."""
        signals = [signal(_PERIOD, seed=1000 + i).astype(np.float32) for i in range(self.n_series)]
        self._values = np.stack(signals)
        self._encoder = ReadingEncoder(numeric_features(NAMES), ReadingFormat())
        self._producer = self.kafka.producer(**{"linger.ms": 5})  # the client's own default
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Feed":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(30)
        self._producer.flush(30)

    def send_steps(self, n_steps: int) -> None:
        """Send some steps at once, before the steady rate begins."""
        for _ in range(n_steps):
            for i in range(self.n_series):
                self._send(i)
            self.step += 1
        self._producer.flush(60)

    def _run(self) -> None:
        began, n_sent = time.perf_counter(), 0
        while not self._stopping.is_set():
            for i in range(self.n_series):
                ahead = began + n_sent / self.rate - time.perf_counter()
                if ahead > _BURST_S:
                    self._producer.poll(0)
                    time.sleep(ahead)
                    if self._stopping.is_set():
                        return
                self._send(i)
                n_sent += 1
            self.step += 1

    def _send(self, i: int) -> None:
        row = self._values[i, self.step % _PERIOD]
        event_ns = START_NS + self.step * STEP_NS
        if self.step > T and self._is_spike(i):
            row = row + np.full(F, 20.0, np.float32)
            self.sent[f"s{i}", event_ns // 10**9] = time.time()
        value = self._encoder.encode(series="", time_ns=event_ns, values=row.tolist())
        while True:
            try:
                self._producer.produce(self.topic, value, f"s{i}")
            except BufferError:
                self._producer.poll(0.05)
            else:
                self.n_sent += 1
                return

    def _is_spike(self, i: int) -> bool:
        """Tell whether a series has an anomaly now; the series take turns."""
        if self.spike_every is None:
            return False
        return (self.step + i * self.spike_every // self.n_series) % self.spike_every == 0
