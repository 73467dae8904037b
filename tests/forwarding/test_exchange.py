"""Over HTTP: what is sent, what an answer means, and that nothing secret is told."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from stream_vae.core.masking import MASK
from stream_vae.edges.receivers.build import build_receiver
from stream_vae.edges.receivers.config import ForwardConfig
from stream_vae.edges.receivers.http_exchange import HttpExchange
from stream_vae.errors import ConfigError
from stream_vae.forwarding.exchange import DeliveryError, Request, Response, accepted
from stream_vae.forwarding.receivers import Delivery
from stream_vae.wire.alerts import encode_alert
from tests.forwarding.bench import opened
from tests.forwarding.stand_ins import SECRET, Headers, Webhook, serving
from tests.memory_kafka.clock import ManualClock

NOW = datetime(2026, 4, 27, 13, tzinfo=UTC)
PATH = "/services/T000/B000/XXXXXXXX"


class Recording:
    """Answers as planned and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Headers, bytes]] = []
        self.response = Response(status=200, body=b"[]")

    def answer(self, *asked: Any) -> Response:
        self.asked.append(asked)
        return self.response


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[str, Recording]]:
    recording = Recording()
    with serving(recording.answer) as url:
        yield url, recording


def deliver(config: ForwardConfig) -> None:
    event = opened("p1")
    delivery = Delivery(event=event, value=encode_alert(event), before=None)
    build_receiver(config).deliver(delivery, NOW)


def test_a_signed_event_arrives_as_it_stands_in_the_topic_and_a_wrong_key_is_found_out() -> None:
    clock = ManualClock()
    clock.set_wall_clock(NOW.timestamp() - clock.time_ns() / 1e9)
    stand_in = Webhook(clock)
    with serving(stand_in.answer) as url:
        deliver(ForwardConfig(to="webhook", url=SecretStr(url + PATH), secret=SecretStr(SECRET)))
        assert stand_in.taken == [("p1-0.0", json.loads(encode_alert(opened("p1"))))]
        other = SecretStr("whsec_" + "A" * 40)
        with pytest.raises(DeliveryError, match="HTTP 401") as refusal:
            deliver(ForwardConfig(to="webhook", url=SecretStr(url + PATH), secret=other))
    assert not refusal.value.is_final, "the operator has to mend it: nothing is given up"


def test_an_event_of_any_incident_can_be_sent(served: tuple[str, Recording]) -> None:
    url, recording = served
    recording.response = Response(status=204)
    event = replace(opened("p1"), incident_id="p\r\nx-mine: 1 \u20ac" + "x" * 70_000)
    delivery = Delivery(event=event, value=encode_alert(event), before=None)
    build_receiver(ForwardConfig(to="webhook", url=SecretStr(url))).deliver(delivery, NOW)
    sent = recording.asked[-1][2]
    assert "x-mine" not in sent
    assert len(sent["webhook-id"]) < 1_000


@pytest.mark.parametrize(
    ("config", "headers", "path"),
    [
        ({"to": "alertmanager"}, {}, "/am/api/v2/alerts"),
        ({"to": "alertmanager", "secret": "t0ken-1"}, {"authorization": "Bearer t0ken-1"}, ""),
        (
            {"to": "alertmanager", "user": "ann", "secret": "pw"},
            {"authorization": "Basic YW5uOnB3"},
            "",
        ),
        ({"to": "grafana", "secret": "glsa_1"}, {"authorization": "Bearer glsa_1"}, ""),
        ({"to": "slack"}, {"content-type": "application/json"}, "/am/"),
        ({"to": "pagerduty", "secret": "R" * 32}, {}, "/am/"),
    ],
    ids=str,
)
def test_requests_go_to_their_place_with_their_credentials(
    served: tuple[str, Recording], config: Any, headers: dict[str, str], path: str
) -> None:
    url, recording = served
    recording.asked.clear()
    recording.response = Response(status=200, body=b"[]")
    secret = SecretStr(config["secret"]) if "secret" in config else None
    deliver(ForwardConfig(**{**config, "url": SecretStr(f"{url}/am/"), "secret": secret}))
    for _, at, sent, _ in recording.asked:
        assert sent.items() >= headers.items()
        assert at == (path or at)
        assert sent["user-agent"].startswith("stream-vae/")


def test_a_redirect_is_not_followed_and_no_answer_quotes_what_was_sent(
    served: tuple[str, Recording],
) -> None:
    url, recording = served
    secret = "a-token-of-mine"  # noqa: S105 -- of the test
    exchange = HttpExchange(url + PATH, {"Authorization": secret}, timeout_s=5.0)
    recording.asked.clear()
    recording.response = Response(status=302, retry_after="/elsewhere", body=(url + PATH).encode())
    answer = exchange.send(Request(method="POST", body=b"{}"))
    assert len(recording.asked) == 1
    with pytest.raises(DeliveryError) as refusal:
        accepted(answer, NOW)
    assert PATH not in refusal.value.detail
    assert MASK in refusal.value.detail
    for told in (f"bad {secret}", f"Cannot POST {PATH}"):
        recording.response = Response(status=500, body=told.encode())
        assert MASK.encode() in exchange.send(Request(method="GET")).body


def test_what_does_not_answer_fails_within_its_time_and_says_so_without_the_url() -> None:
    with serving(lambda *_: Response(status=200)) as url:
        pass
    exchange = HttpExchange(url + PATH, {}, timeout_s=5.0)
    with pytest.raises(DeliveryError, match="refused") as failure:
        exchange.send(Request(method="POST", body=b"{}"))
    assert not failure.value.is_final
    assert PATH not in str(failure.value)
    release = threading.Event()

    def late(*_: Any) -> Response:
        release.wait(10.0)
        return Response(status=200)

    with serving(late) as url:
        with pytest.raises(DeliveryError, match="timed out"):
            HttpExchange(url, {}, timeout_s=0.05).send(Request(method="GET"))
        release.set()


@pytest.mark.parametrize(
    ("status", "retry_after", "is_final", "wait_s"),
    [
        (400, "", True, None),
        (422, "", True, None),
        (401, "", False, None),
        (404, "", False, None),
        (503, "120", False, 120.0),
        (429, "Mon, 27 Apr 2026 13:00:30 GMT", False, 30.0),
        (429, "Mon, 27 Apr 2026 12:00:00 GMT", False, 0.0),
        (429, "9" * 40, False, 3600.0),
        (429, "soon", False, None),
        (429, f"Mon, 27 Apr {'9' * 12} 13:00:30 GMT", False, None),
    ],
)
def test_an_answer_says_whether_and_when_to_try_again(
    status: int, retry_after: str, is_final: bool, wait_s: float | None
) -> None:
    with pytest.raises(DeliveryError) as refusal:
        accepted(Response(status=status, retry_after=retry_after), NOW)
    assert (refusal.value.is_final, refusal.value.retry_after_s) == (is_final, wait_s)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"url": "ftp://x/secret-path"}, "no address"),
        ({"url": "http://host/secret path"}, "no address"),
        ({"url": "http://ann:secret-pw@host"}, "forward.user"),
        ({"to": "webhook", "secret": "whsec_secret!"}, "expected whsec_"),
        ({"to": "slack", "user": "ann"}, "alertmanager"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_without_quoting_a_secret(
    wrong: dict[str, Any], said: str
) -> None:
    values: dict[str, Any] = {
        name: SecretStr(text) if name in {"url", "secret"} else text for name, text in wrong.items()
    }
    with pytest.raises(ValueError, match=said) as refusal:
        ForwardConfig(**values)
    assert "secret-" not in str(refusal.value)
    assert "secret!" not in str(refusal.value)


@pytest.mark.parametrize("proxy", ["http:/proxy", "http://", "p:x", "p:99999", "socks5://p:1"])
def test_a_proxy_that_is_no_address_is_refused_at_the_start(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Met at the first event, it would end the forwarder."""
    config = ForwardConfig(to="slack", url=SecretStr("https://hooks.slack.com/x"))
    monkeypatch.setenv("HTTP_PROXY", proxy)
    build_receiver(config)  # control: of another scheme
    monkeypatch.setenv("HTTPS_PROXY", f"{proxy}")
    with pytest.raises(ConfigError, match="HTTPS_PROXY: found no address") as refusal:
        build_receiver(config)
    assert proxy not in str(refusal.value).replace("http://HOST:PORT", "")
    for sound in ("http://ann:pw@proxy:3128/", "proxy:3128", "https://[::1]"):
        monkeypatch.setenv("HTTPS_PROXY", sound)
        build_receiver(config)


def test_what_is_missing_is_named_before_anything_begins() -> None:
    for config, said in (
        (ForwardConfig(), "forward.to is not set"),
        (ForwardConfig(to="slack"), "forward.url is not set"),
        (ForwardConfig(to="pagerduty"), "forward.secret is not set"),
        (
            ForwardConfig(to="pagerduty", secret=SecretStr("x"), ssl_ca_location="/none"),
            "forward.ssl_ca_location",
        ),
    ):
        with pytest.raises(ConfigError, match=said):
            build_receiver(config)
    config = ForwardConfig(to="slack", url=SecretStr("https://hooks.slack.com" + PATH))
    assert config.address == "https://hooks.slack.com"
