"""What a cluster and Prometheus ask over HTTP, asked of a real server."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families

from stream_vae.core.health import Health
from stream_vae.edges.http.config import HttpConfig
from stream_vae.edges.http.server import HealthServer
from stream_vae.errors import ConfigError
from tests.limits import slowness

OK = Health(is_ok=True, reason="poll loop 0.1 s ago")
FAILED = Health(is_ok=False, reason="worker: no heartbeat for 81.0 s")
DEGRADED = Health(is_ok=True, is_degraded=True, reason="nothing was read")


@contextmanager
def serving(
    *,
    liveness: Health = OK,
    readiness: Health = OK,
    registry: CollectorRegistry | None = None,
) -> Iterator[httpx.Client]:
    server = HealthServer(
        HttpConfig(port=0),
        registry or CollectorRegistry(),
        lambda: liveness,
        lambda: readiness,
        lambda: {"partitions": [{"partition": 0}]},
    )
    server.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=10) as client:
            yield client
    finally:
        server.stop()


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
@pytest.mark.parametrize(("health", "status"), [(OK, 200), (DEGRADED, 200), (FAILED, 503)])
def test_probes_answer_by_status_and_say_why(path: str, health: Health, status: int) -> None:
    is_live = path == "/livez"
    with serving(liveness=health if is_live else OK, readiness=OK if is_live else health) as client:
        answer = client.get(path)
        other = client.get("/readyz" if is_live else "/livez")
    assert answer.status_code == status
    words = {OK.reason: "ok", DEGRADED.reason: "degraded", FAILED.reason: "failed"}
    assert answer.json() == {"status": words[health.reason], "reason": health.reason}
    assert answer.headers["cache-control"] == "no-store"
    assert other.status_code == 200, "the two probes are independent"


def test_the_status_is_what_the_daemon_says() -> None:
    with serving(liveness=FAILED) as client:
        answer = client.get("/statusz")
    assert answer.status_code == 200, "it is asked when something is wrong"
    assert answer.json() == {"partitions": [{"partition": 0}]}
    assert answer.headers["cache-control"] == "no-store"


def test_metrics_are_those_of_the_registry() -> None:
    registry = CollectorRegistry()
    Counter("stream_vae_windows_scored_total", "Windows scored.", registry=registry).inc(3)
    with serving(registry=registry) as client:
        answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    samples = {
        sample.name: sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert samples["stream_vae_windows_scored_total"] == 3.0


def test_prometheus_may_ask_for_open_metrics() -> None:
    with serving() as client:
        answer = client.get("/metrics", headers={"accept": "application/openmetrics-text"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


def test_the_index_names_the_paths() -> None:
    with serving() as client:
        answer = client.get("/")
    assert answer.status_code == 200
    assert all(path in answer.text for path in ("/livez", "/readyz", "/statusz", "/metrics"))


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/x", 404), ("POST", "/livez", 405)]
)
def test_anything_else_is_refused(method: str, path: str, status: int) -> None:
    with serving() as client:
        assert client.request(method, path).status_code == status


def test_a_taken_port_is_the_operators_mistake() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = HealthServer(HttpConfig(port=port), CollectorRegistry(), lambda: OK, lambda: OK)
        with pytest.raises(
            ConfigError, match=rf"cannot listen on 127\.0\.0\.1 port {port}: .*in use"
        ):
            server.start()
        server.stop()


def test_a_foreign_address_is_the_operators_mistake() -> None:
    """192.0.2.0/24 is set aside for documentation: no machine has it."""
    server = HealthServer(
        HttpConfig(host="192.0.2.1", port=0), CollectorRegistry(), lambda: OK, lambda: OK
    )
    with pytest.raises(ConfigError, match=r"cannot listen on 192\.0\.2\.1"):
        server.start()


def test_stopping_frees_the_port_in_time() -> None:
    server = HealthServer(HttpConfig(port=0), CollectorRegistry(), lambda: OK, lambda: OK)
    server.start()
    port = server.port
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
        assert client.get("/livez").status_code == 200
        began = time.monotonic()
        server.stop()  # while the client keeps its connection
        assert time.monotonic() - began < 2.5 * slowness()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/livez", timeout=10)


def test_stopping_twice_or_before_starting_is_harmless() -> None:
    server = HealthServer(HttpConfig(port=0), CollectorRegistry(), lambda: OK, lambda: OK)
    server.stop()
    with serving() as client:
        assert client.get("/livez").status_code == 200


def test_the_port_is_unknown_before_the_start() -> None:
    server = HealthServer(HttpConfig(port=0), CollectorRegistry(), lambda: OK, lambda: OK)
    with pytest.raises(RuntimeError, match="before start"):
        _ = server.port
