"""What receives alert events: each speaks one protocol over an exchange."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol
from urllib.parse import quote

from stream_vae.core.alerts import AlertEvent
from stream_vae.forwarding.exchange import (
    DeliveryError,
    Exchange,
    Request,
    accepted,
    decode_json,
    encode_json,
)
from stream_vae.wire.receivers.alertmanager import alertmanager_alert
from stream_vae.wire.receivers.grafana import grafana_annotation, grafana_tag
from stream_vae.wire.receivers.pagerduty import pagerduty_event
from stream_vae.wire.receivers.slack import slack_message
from stream_vae.wire.receivers.webhook import webhook_headers
from stream_vae.wire.receivers.words import stable_name

_ALERTS = "/api/v2/alerts"
_ANNOTATIONS = "/api/annotations"
_ID_CHARACTERS = 200
_RESENDS_MISSED = 3
"""An alert outlives so many re-sends that fail before it ends by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event to deliver."""

    event: AlertEvent
    value: bytes
    """As it stands in the topic."""
    before: AlertEvent | None
    """The incident's event delivered before, if it is known and firing."""


class Receiver(Protocol):
    """A receiver of alert events.

    Both calls raise `DeliveryError` if it did not take them.
    """

    @property
    def resend_s(self) -> float | None:
        """Time after which what is firing must be told again; None: never."""
        ...

    @property
    def pause_s(self) -> float:
        """Least time between two events."""
        ...

    def wants(self, event: AlertEvent) -> bool:
        """Return whether it is told of such an event."""
        ...

    def deliver(self, delivery: Delivery, now: datetime) -> None:
        """Tell it an event."""

    def resend(self, events: Sequence[AlertEvent], now: datetime) -> None:
        """Tell it again what is firing, in one request.

        Of some that it refuses, it takes those it can.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class _Once:
    """A receiver that is told each event once."""

    exchange: Exchange
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def resend_s(self) -> float | None:
        """Never."""
        return None

    @property
    def pause_s(self) -> float:
        """None."""
        return 0.0

    def wants(self, _: AlertEvent) -> bool:
        """Return that it is told everything."""
        return True

    def resend(self, events: Sequence[AlertEvent], now: datetime) -> None:
        """Do nothing."""

    def _post(self, content: object, now: datetime, path: str = "") -> None:
        request = Request(method="POST", path=path, body=encode_json(content))
        accepted(self.exchange.send(request), now)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertmanagerReceiver(_Once):
    """Alertmanager: an alert that is not told again ends by itself.

    Severity is part of an alert's identity there: one that rises ends the alert it was.
    """

    resend_after_s: float

    @property
    def resend_s(self) -> float | None:
        """As configured."""
        return self.resend_after_s

    def deliver(self, delivery: Delivery, now: datetime) -> None:
        """Post the alert, and with it the end of what it was before."""
        alerts = [self._alert(delivery.event, now)]
        before = delivery.before
        if before is not None and before.severity != delivery.event.severity:
            alerts.append(self._alert(before, now, fires_until=now))
        self._post(alerts, now, _ALERTS)

    def resend(self, events: Sequence[AlertEvent], now: datetime) -> None:
        """Post all of them."""
        self._post([self._alert(event, now) for event in events], now, _ALERTS)

    def _alert(
        self, event: AlertEvent, now: datetime, fires_until: datetime | None = None
    ) -> dict[str, Any]:
        outlives = timedelta(seconds=self.resend_after_s * (1 + _RESENDS_MISSED))
        return alertmanager_alert(
            event, now=now, fires_until=fires_until or now + outlives, labels=self.labels
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookReceiver(_Once):
    """Any HTTP endpoint: the event's own JSON, signed as Standard Webhooks asks for."""

    keys: tuple[bytes, ...] = ()

    def deliver(self, delivery: Delivery, now: datetime) -> None:
        """Post the event; its id is that of all attempts."""
        event, body = delivery.event, delivery.value
        incident = quote(stable_name(event.incident_id, _ID_CHARACTERS))  # as headers take it
        headers = webhook_headers(
            body,
            message_id=f"{incident}.{event.sequence}",
            sent_at_s=int(now.timestamp()),
            keys=self.keys,
        )
        request = Request(method="POST", body=body, headers=headers)
        accepted(self.exchange.send(request), now)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackReceiver(_Once):
    """Slack, by an incoming webhook, which takes one message a second."""

    @property
    def pause_s(self) -> float:
        """A second."""
        return 1.0

    def deliver(self, delivery: Delivery, now: datetime) -> None:
        """Post a message."""
        self._post(slack_message(delivery.event), now)


@dataclass(frozen=True, slots=True, kw_only=True)
class PagerDutyReceiver(_Once):
    """PagerDuty: an incident's id is the key by which its events are one."""

    routing_key: str = field(repr=False)

    def wants(self, event: AlertEvent) -> bool:
        """Return whether it is something to be paged for; a drift is over when it is told."""
        return event.kind != "drift"

    def deliver(self, delivery: Delivery, now: datetime) -> None:
        """Trigger or resolve."""
        content = pagerduty_event(
            delivery.event, routing_key=self.routing_key, labels=dict(self.labels)
        )
        self._post(content, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class GrafanaReceiver(_Once):
    """Grafana's annotations: one for each incident, found again by its tag."""

    def deliver(self, delivery: Delivery, now: datetime) -> None:
        """Make the annotation, or bring the one that is there up to date."""
        number = self._find(delivery.event, now)
        body = encode_json(grafana_annotation(delivery.event, dict(self.labels)))
        request = (
            Request(method="POST", path=_ANNOTATIONS, body=body)
            if number is None
            else Request(method="PATCH", path=f"{_ANNOTATIONS}/{number}", body=body)
        )
        accepted(self.exchange.send(request), now)

    def _find(self, event: AlertEvent, now: datetime) -> int | None:
        """Return the number of an incident's annotation, if there is one."""
        asked = f"type=annotation&limit=1&tags={quote(grafana_tag(event), safe='')}"
        request = Request(method="GET", path=f"{_ANNOTATIONS}?{asked}")
        found = decode_json(accepted(self.exchange.send(request), now))
        try:
            return int(found[0]["id"]) if found else None
        except (IndexError, KeyError, TypeError, ValueError):
            raise DeliveryError("the answer is no list of annotations with their ids") from None
