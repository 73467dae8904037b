"""Distinguishes a broker outage from a quiet topic, for clients that only poll."""

import time

from confluent_kafka import Consumer, KafkaError, KafkaException

from stream_vae.core.ports import EventSink
from stream_vae.edges.kafka.errors import (
    Operation,
    error_of,
    gave_up,
    refuses_connection,
    translate,
)
from stream_vae.errors import KafkaUnavailableError, StreamVaeError
from stream_vae.events import BrokerReached, BrokerUnreachable

_PROBE_PAUSE_S = 1.0
_PROBE_TIMEOUT_S = 0.5


class BrokerWatch:
    """Probes the brokers while the client reports errors.

    Args:
        operation: The client's operation, for messages; plain text if there is no topic to name.
        deadline_s: Longest outage.
        events: Receives `BrokerUnreachable` once a second while no broker answers, and
            `BrokerReached` when one answers again.
    """

    def __init__(self, operation: Operation | str, deadline_s: float, events: EventSink) -> None:
        self._operation = operation
        self._has_group = isinstance(operation, Operation) and operation.group is not None
        self._deadline_s = deadline_s
        self._events = events
        self._suspected = False
        self._refusal: StreamVaeError | None = None
        self._out_since: float | None = None
        self._probed_at = 0.0

    @property
    def out_s(self) -> float:
        """Seconds since the first failed probe of this outage; 0 if there is none."""
        return 0.0 if self._out_since is None else time.monotonic() - self._out_since

    def client_error(self, error: KafkaError) -> None:
        """Handle an asynchronous error of the client (its `error_cb`).

        Raises:
            KafkaRefusedError: If it is not transient.
        """
        if error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED and not self._has_group:
            return  # the client looks for a coordinator even if it joins no group
        reason = translate(error, self._operation)
        if refuses_connection(error):
            # One broker may refuse what others accept, and a token outlives a refused renewal.
            self._refusal = reason
        elif not isinstance(reason, KafkaUnavailableError):
            raise reason
        self._suspected = True

    def raise_refusal(self) -> None:
        """Raise the error of a refused connection, if there is one; called when none answers.

        Raises:
            KafkaRefusedError: Names the settings to check.
        """
        if self._refusal is not None:
            raise self._refusal

    def tick(self, client: Consumer) -> None:
        """Probe, at most once a second and only while an outage is suspected.

        Raises:
            KafkaUnavailableError: If no broker answered for `deadline_s`.
            KafkaRefusedError: If none answers and one has refused the connection.
        """
        now = time.monotonic()
        if not self._suspected or now - self._probed_at < _PROBE_PAUSE_S:
            return
        self._probed_at = now
        try:
            client.list_topics(timeout=_PROBE_TIMEOUT_S)
        except KafkaException as exc:
            self.raise_refusal()
            self._out_since = self._out_since or now
            reason = translate(error_of(exc), self._operation)
            if now - self._out_since > self._deadline_s:
                raise gave_up(reason, self._deadline_s) from exc
            self._events.record(
                BrokerUnreachable(
                    detail=str(reason), waited_s=self.out_s, deadline_s=self._deadline_s
                )
            )
        else:
            if self._out_since is not None:
                self._events.record(BrokerReached(waited_s=now - self._out_since))
            self._suspected, self._out_since, self._refusal = False, None, None
