"""Back-pressure: pauses the input while the worker is behind."""

from stream_vae.core.ports import Clock, EventSink, InputConsumer, ScoringQueue
from stream_vae.daemon.work_queue import Work
from stream_vae.events import ConsumptionPaused, ConsumptionResumed
from stream_vae.settings import WorkerConfig

_PAUSE_AFTER_S = 0.5


class BackPressure:
    """Decides before each poll whether to poll, wait or pause.

    Args:
        config: Bounds on work in flight.
        scoring: Its queue is watched.
        consumer: Paused if necessary.
        events: Receives pauses and resumptions.
        clock: The time.
    """

    def __init__(
        self,
        config: WorkerConfig,
        scoring: ScoringQueue[Work],
        consumer: InputConsumer,
        *,
        events: EventSink,
        clock: Clock,
    ) -> None:
        self._config = config
        self._scoring = scoring
        self._consumer = consumer
        self._events = events
        self._clock = clock
        self._had_room_at = clock.monotonic()

    def may_poll(self) -> bool:
        """Return whether to poll now; if the worker is behind, wait a moment or pause fetching.

        During a backlog the worker is always behind, but makes progress: a wait of some
        milliseconds is enough. Pausing discards the client's prefetched records, which are fetched
        again later, so it is used only if the worker makes no progress for long.
        """
        waiting, limit = self._scoring.readings_in_flight, self._config.max_in_flight
        if self._consumer.paused:
            if waiting <= limit // 2:
                self._consumer.resume()
                self._events.record(ConsumptionResumed(readings_in_flight=waiting))
            return True
        now = self._clock.monotonic()
        if waiting <= limit:
            self._had_room_at = now
            return True
        if now - self._had_room_at > _PAUSE_AFTER_S:
            self._consumer.pause()
            self._events.record(ConsumptionPaused(readings_in_flight=waiting))
            return True
        self._scoring.wait_finished(self._config.max_wait_ms / 1000)
        return False
