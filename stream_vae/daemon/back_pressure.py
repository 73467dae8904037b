"""Holds the input back while the worker is behind."""

from stream_vae.core.ports import Clock, EventSink, InputConsumer, ScoringQueue
from stream_vae.daemon.work_queue import Work
from stream_vae.events import ConsumptionPaused, ConsumptionResumed
from stream_vae.settings import WorkerConfig

_PAUSE_AFTER_S = 0.5


class BackPressure:
    """Decides before each poll.

    Args:
        config: Bounds of what may be in flight.
        scoring: Whose queue is watched.
        consumer: Paused if need be.
        events: Takes what is done.
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
        """Tell whether to poll now; if the worker is behind, wait a moment or pause fetching.

        Catching up on a backlog, the worker is always behind, but moves on: then a wait of some
        milliseconds is enough. Pausing throws away what the client has fetched ahead, to be fetched
        again, so it is kept for a worker that does not come round for long.
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
