"""Settings of `stream-vae forward`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Literal
from urllib.parse import urlsplit

from annotated_types import Ge, Gt, Le, MinLen
from pydantic import SecretStr

from stream_vae.core.alerts import Severity
from stream_vae.wire.receivers.webhook import webhook_keys

ReceiverKind = Literal["alertmanager", "webhook", "slack", "pagerduty", "grafana"]

PAGERDUTY_URL = "https://events.pagerduty.com/v2/enqueue"
_PRINTABLE = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardConfig:
    """One receiver of alert events; read by `forward` alone."""

    to: ReceiverKind | None = None
    """What receives the events; a process serves one, so several need a process each."""

    url: SecretStr | None = None
    """`alertmanager`, `grafana`: its address, such as `http://alertmanager:9093`. `webhook`,
    `slack`: the whole URL; Slack's is a secret: use the secrets directory. `pagerduty`: unset, its
    own."""

    secret: SecretStr | None = None
    """`webhook`: the signing secret, `whsec_…` (of several, with spaces, each signs). `pagerduty`:
    the integration's routing key. `grafana`: a service account's token. `alertmanager`: a bearer
    token, or with `user` the password. Use the secrets directory."""

    user: Annotated[str, MinLen(1)] | None = None
    """`alertmanager`: user name, where it asks for one."""

    name: Annotated[str, MinLen(1)] | None = None
    """Name of the receiver, the end of its group's; unset, `forward.to`. Two receivers of one kind
    need a name each."""

    group_id: Annotated[str, MinLen(1)] | None = None
    """Consumer group, which keeps what was delivered; unset,
    `<kafka.group_id>-forward-<forward.name>`."""

    detectors: tuple[Annotated[str, MinLen(1)], ...] = ()
    """Detectors (`detector.name`) whose events are told, where several share the alerts topic;
    unset, all. After a detector was renamed, both names, until its open incidents are over."""

    start: Literal["latest", "earliest"] = "latest"
    """Start of a group without committed offsets, on a topic that is there; one that is made later
    is read from its first event. Incidents that are open then are told to Alertmanager all the
    same."""

    min_severity: Severity = "info"
    """Least severity that is told; an incident that becomes so severe is told from then on."""

    labels: dict[str, str] = field(default_factory=dict)
    """Added for the receiver: labels of Alertmanager, details of PagerDuty, tags of Grafana."""

    resend_s: Annotated[float, Ge(1), Le(86_400)] = 60.0
    """`alertmanager`: time after which what fires is told again. An alert ends by itself after four
    times as long without."""

    retry_s: Annotated[float, Gt(0), Le(1e9)] = 3_600.0
    """Failures for so long, without a success, and events go to `output.dead_letter_topic`, each
    after one more attempt."""

    timeout_s: Annotated[float, Gt(0), Le(20)] = 10.0
    """Longest wait for the receiver to connect, and for each part of its answer."""

    ssl_ca_location: Annotated[str, MinLen(1)] | None = None
    """PEM file of the authorities that may have signed the receiver's certificate; unset, the
    system's."""

    def __post_init__(self) -> None:
        """Validate the fields against each other; report all errors."""
        if errors := list(self._errors()):
            raise ValueError("; ".join(errors))

    @property
    def address(self) -> str:
        """Scheme, host and port, without what may be a secret."""
        parts = urlsplit(self.whole_url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")

    @property
    def whole_url(self) -> str:
        """The URL, in plain text: only the client gets it."""
        if self.url is None:
            return PAGERDUTY_URL if self.to == "pagerduty" else ""
        url = self.url.get_secret_value()
        return url.rstrip("/") if self.to in {"alertmanager", "grafana"} else url

    def missing(self) -> list[str]:
        """Return what a forwarder cannot do without."""
        if self.to is None:
            return ["forward.to is not set: expected a receiver, such as alertmanager"]
        found = []
        if not self.whole_url:
            receiver = "webhook receiver" if self.to == "webhook" else f"receiver ({self.to})"
            found.append(
                f"forward.url is not set: expected the address of the {receiver}, such as https://…"
            )
        if self.to == "pagerduty" and self.secret is None:
            found.append("forward.secret is not set: expected the routing key of the integration")
        return found

    def _errors(self) -> Iterator[str]:
        if self.url is not None:
            yield from _url_errors(self.url.get_secret_value())
        if self.to == "webhook" and self.secret is not None:
            try:
                webhook_keys(self.secret.get_secret_value())
            except ValueError as exc:
                yield f"secret: {exc}"
        if self.secret is not None and not _PRINTABLE.fullmatch(
            self.secret.get_secret_value().replace(" ", "")
        ):
            yield "secret: found what no header takes; expected printable ASCII characters"
        if self.user is not None and (self.to != "alertmanager" or self.secret is None):
            yield "user: expected with `to: alertmanager` and a secret, its password"


def _url_errors(url: str) -> Iterator[str]:
    try:
        parts = urlsplit(url)
        is_sound = (
            parts.scheme in {"http", "https"}
            and bool(parts.hostname)
            and parts.port != 0
            and bool(_PRINTABLE.fullmatch(url))
            and not parts.fragment
        )
    except ValueError:
        is_sound = False
    if not is_sound:
        yield (
            "url: found no address (not shown: it may be a secret); expected http:// or https://, "
            "a host, and no spaces"
        )
    elif parts.username is not None or parts.password is not None:
        yield "url: found a password in it; expected it in forward.user and forward.secret"
