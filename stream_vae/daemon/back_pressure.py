"""Holds the input back while the worker is behind."""

import time

from stream_vae.daemon.scoring_worker import ScoringWorker
from stream_vae.delivery.committer import Recorder
from stream_vae.edges.kafka.consume.input_consumer import InputConsumer
from stream_vae.events import ConsumptionPaused, ConsumptionResumed
from stream_vae.pipeline.polled_batch import PolledBatch
from stream_vae.settings import WorkerConfig
from stream_vae.state.snapshots import SnapshotJob

_PAUSE_AFTER_S = 0.5


class BackPressure:
    """Decides before each poll.

    Args:
        config: Bounds of what may be in flight.
        worker: Whose queue is watched.
        consumer: Paused if need be.
        recorder: Takes events.
    """

    def __init__(
        self,
        config: WorkerConfig,
        worker: ScoringWorker[PolledBatch | SnapshotJob],
        consumer: InputConsumer,
        recorder: Recorder,
    ) -> None:
        self._config = config
        self._worker = worker
        self._consumer = consumer
        self._recorder = recorder
        self._had_room_at = time.monotonic()

    def may_poll(self) -> bool:
        """Tell whether to poll now; if the worker is behind, wait a moment or pause fetching.

        Catching up on a backlog, the worker is always behind, but moves on: then a wait of some
        milliseconds is enough. Pausing throws away what the client has fetched ahead, to be fetched
        again, so it is kept for a worker that does not come round for long.
        """
        waiting, limit = self._worker.readings_in_flight, self._config.max_in_flight
        if self._consumer.paused:
            if waiting <= limit // 2:
                self._consumer.resume()
                self._recorder.record(ConsumptionResumed(readings_in_flight=waiting))
            return True
        now = time.monotonic()
        if waiting <= limit:
            self._had_room_at = now
            return True
        if now - self._had_room_at > _PAUSE_AFTER_S:
            self._consumer.pause()
            self._recorder.record(ConsumptionPaused(readings_in_flight=waiting))
            return True
        self._worker.wait_finished(self._config.max_wait_ms / 1000)
        return False
