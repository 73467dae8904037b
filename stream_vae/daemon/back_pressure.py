"""Back-pressure: pauses the input while the worker is behind, or records cannot be decoded yet."""

from stream_vae.core.ports import Clock, EventSink, InputConsumer, ScoringQueue
from stream_vae.core.records import RecordBatch
from stream_vae.daemon.decoder_gate import DecoderGate
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
        gate: Pauses too.
        events: Receives pauses and resumptions.
        clock: The time.
    """

    def __init__(  # noqa: PLR0913 -- one part of each kind
        self,
        config: WorkerConfig,
        scoring: ScoringQueue[Work],
        consumer: InputConsumer,
        *,
        gate: DecoderGate,
        events: EventSink,
        clock: Clock,
    ) -> None:
        self._config = config
        self._scoring = scoring
        self._consumer = consumer
        self._gate = gate
        self.is_behind = False
        """Whether the input is paused because the worker is."""
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
            if waiting <= limit // 2 and self._gate.is_open:
                self._consumer.resume()
                if self.is_behind:
                    self.is_behind = False
                    self._events.record(ConsumptionResumed(readings_in_flight=waiting))
            return True
        now = self._clock.monotonic()
        if waiting <= limit:
            self._had_room_at = now
            return True
        if now - self._had_room_at > _PAUSE_AFTER_S:
            self.is_behind = True
            self._consumer.pause()
            self._events.record(ConsumptionPaused(readings_in_flight=waiting))
            return True
        self._scoring.wait_finished(self._config.max_wait_ms / 1000)
        return False

    def admits(self, records: RecordBatch) -> bool:
        """Return whether a poll can be decoded; if not, pause: it is polled again later."""
        if self._gate.admits(records):
            return True
        self._consumer.pause()
        return False
