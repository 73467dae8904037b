"""The daemon, Prometheus, Alertmanager and a receiver: alerts reach it, and that they are over."""

import contextlib
import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.deploy.debian import debian_tool
from tests.deploy.test_monitoring import DASHBOARD
from tests.system.broker import RealKafka, free_ports
from tests.system.harness import as_records, sine_values
from tests.system.scene import Scene, await_true, probe

RULES = Path(__file__).parents[2] / "deploy" / "monitoring" / "rules.yaml"

QUERIES: list[str] = DASHBOARD.queries()

# Of Debian's package, which looks for them there; `dpkg -x` does not put them so.
TEMPLATES = Path("/usr/share/prometheus/alertmanager/default.tmpl")

pytestmark = pytest.mark.skipif(
    os.environ.get("STREAM_VAE_TEST_STACK") != "1" or not TEMPLATES.exists(),
    reason="half a minute: set STREAM_VAE_TEST_STACK=1, and install prometheus-alertmanager",
)


class Receiver:
    """A webhook that keeps what Alertmanager tells it."""

    def __init__(self) -> None:
        told: list[tuple[str, str, str]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                for alert in body["alerts"]:
                    labels, words = alert["labels"], alert["annotations"]["summary"]
                    told.append((labels["alertname"], alert["status"], words))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        self.told = told
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def has(self, name: str, status: str) -> bool:
        return any(told[:2] == (name, status) for told in self.told)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextlib.contextmanager
def running(*command: str, folder: Path) -> Iterator[None]:
    with (
        (folder / f"{Path(command[0]).name}.log").open("w") as log,
        subprocess.Popen(command, cwd=folder, stdout=log, stderr=log) as process,
    ):
        try:
            yield
        finally:
            process.terminate()


@contextlib.contextmanager
def stack(folder: Path, metrics_port: int) -> Iterator[tuple[Receiver, str]]:
    """Run both, with our rules; what these wait for is cut to a second.

    Yields:
        What Alertmanager tells, and where Prometheus answers.
    """
    prometheus_port, alertmanager_port = free_ports(2)
    receiver = Receiver()
    text = re.sub(r"for: \w+", "for: 1s", RULES.read_text(encoding="utf-8"))
    (folder / "rules.yaml").write_text(text)
    alertmanager = {
        "route": {"receiver": "test", "group_wait": "1s", "group_interval": "1s"},
        "receivers": [{"name": "test", "webhook_configs": [{"url": receiver.url}]}],
    }
    prometheus = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yaml"],
        "alerting": {
            "alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager_port}"]}]}]
        },
        "scrape_configs": [
            {
                "job_name": "stream-vae",
                "static_configs": [{"targets": [f"127.0.0.1:{metrics_port}"]}],
            }
        ],
    }
    (folder / "alertmanager.yaml").write_text(yaml.safe_dump(alertmanager))
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(prometheus))
    with (
        running(
            str(debian_tool("prometheus-alertmanager", "prometheus-alertmanager")),
            "--config.file=alertmanager.yaml",
            "--storage.path=alertmanager",
            f"--web.listen-address=127.0.0.1:{alertmanager_port}",
            "--cluster.listen-address=",
            folder=folder,
        ),
        running(
            str(debian_tool("prometheus", "prometheus")),
            "--config.file=prometheus.yaml",
            "--storage.tsdb.path=tsdb",
            f"--web.listen-address=127.0.0.1:{prometheus_port}",
            folder=folder,
        ),
    ):
        yield receiver, f"http://127.0.0.1:{prometheus_port}/api/v1"
    receiver.close()


def answered(prometheus: str) -> list[str]:
    """Return the dashboard's queries that have an answer now; none, and no rule, is refused.

    What has no match, or several where one belongs, is refused by data alone.
    """
    rules = httpx.get(f"{prometheus}/rules", timeout=10).json()["data"]["groups"][0]["rules"]
    assert {rule["name"]: rule["lastError"] for rule in rules if rule["health"] != "ok"} == {}
    found = []
    for query in QUERIES:
        expression = query.replace('detector=~"d"', 'detector=~".*"')
        answer = httpx.get(f"{prometheus}/query", params={"query": expression}, timeout=10).json()
        assert answer["status"] == "success", answer
        if answer["data"]["result"]:
            found.append(query)
        else:
            print("no answer:", query)  # noqa: T201 -- for `-s`
    return found


def test_a_blind_daemon_and_a_broker_that_is_gone_are_told_of_and_when_they_are_mended(
    own_kafka: RealKafka, scene: Scene, tmp_path: Path
) -> None:
    topic = scene.topics.input
    with scene.daemon(kafka__broker_deadline_s=180.0) as daemon:
        daemon.wait_for("daemon_ready", 60)
        with stack(tmp_path, daemon.http_port) as (receiver, prometheus):
            stranger = json.dumps({"timestamp": 1_700_000_000, "other": 1}).encode()
            own_kafka.produce(topic, [(b"pump", stranger)] * 150)
            await_true(lambda: receiver.has("StreamVaeBlind", "firing"), "blind")
            assert json.loads(probe(daemon, "readyz")[1])["status"] == "degraded"
            own_kafka.produce(topic, as_records(sine_values(20, seed=1), "pump"))
            await_true(lambda: receiver.has("StreamVaeBlind", "resolved"), "sees again")

            assert len(answered(prometheus)) > len(QUERIES) / 2, "most panels show something"
            own_kafka.kill()
            await_true(lambda: receiver.has("StreamVaeNotReady", "firing"), "no broker")
            own_kafka.start()
            await_true(lambda: receiver.has("StreamVaeNotReady", "resolved"), "a broker again")
            assert not receiver.has("StreamVaeDown", "firing"), "control"
            print(*receiver.told, sep="\n")  # noqa: T201 -- what was seen, for `-s`
