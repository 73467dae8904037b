"""The process around the loop: what is told, in which order, and what is answered meanwhile.

Each service runs in a process of its own, since it owns the signals; its loop stands in for one
that needs brokers.
"""

import json
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.slow  # each test starts a process of its own

_RUN = """
import logging, resource, sys, threading, time
from pathlib import Path
from stream_vae.core.health import Health
from stream_vae.daemon.service import Service
from stream_vae.edges.telemetry.logs import build_logger
from stream_vae.errors import KafkaUnavailableError
from stream_vae.events import BrokerUnreachable, DaemonStarted
from stream_vae.settings import load_settings

kind, config = sys.argv[1:]
STARTED = DaemonStarted(
    version="1", instance="i", model_id="m", model_version="1", model_trained_s=0.0,
    first_alert="now", device="cpu", series_capacity=1, series_bytes=1, http_url=None, settings={},
)

class Loop:
    def __init__(self, around):
        self.around, self.stopped, self.is_ready = around, threading.Event(), False
    def run(self):
        self.around.events.record(STARTED)
        for _ in range(3):
            self.around.events.tick()
        self.is_ready = True
        while not self.stopped.wait(0.01):
            self.around.events.tick()
        logging.getLogger("some.library").warning("closed late")
    def stop(self):
        self.stopped.set()
    def liveness(self):
        return Health(is_ok=True, reason="looping")
    def readiness(self):
        return Health(is_ok=self.is_ready, reason="as told")
    def status(self):
        return {"conditions": []}

def start(around):
    print(f"url {around.http_url}", flush=True)
    if kind == "crash":
        raise RuntimeError("a bug")
    if kind == "outage":
        for waited in (1.0, 2.0):
            around.events.record(BrokerUnreachable(detail="x", waited_s=waited, deadline_s=2.0))
        raise KafkaUnavailableError("gave up")
    if kind == "loading":
        while not around.stopping():
            time.sleep(0.01)
        return None
    if kind == "limits":
        print(f"limits {resource.getrlimit(resource.RLIMIT_NOFILE)}", flush=True)
    return Loop(around)

loaded = load_settings(config=Path(config), environ={})
Service(loaded, build_logger(loaded.settings.logging, sys.stdout), start).serve()
"""


class Running:
    """A service; its log is what it has written so far."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.lines: list[str] = []

    def read_line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.lines.append(line)
        return line

    def read_to(self, part: str) -> str:
        """Return the next line that has `part` in it."""
        while part not in (line := self.read_line()):
            assert line, f"ended before {part!r}"
        return line

    def read_to_the_end(self) -> None:
        while self.read_line():
            pass
        self.process.wait(30)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines if line.startswith("{")]

    @property
    def url(self) -> str:
        (line,) = [line for line in self.lines if line.startswith("url ")]
        return line.split()[1]


@contextmanager
def running(kind: str, folder: Path, **settings: Any) -> Iterator[Running]:
    config = folder / "config.json"
    config.write_text(json.dumps({"http": {"port": 0}, "logging": {"format": "json"}} | settings))
    with subprocess.Popen(
        [sys.executable, "-c", _RUN, kind, str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        yield Running(process)
        process.kill()


def test_readiness_is_told_once_with_the_port_that_was_taken(tmp_path: Path) -> None:
    with running("work", tmp_path) as service:
        ready = json.loads(service.read_to("daemon_ready"))
        assert httpx.get(f"{ready['http_url']}/readyz", timeout=10).status_code == 200
        service.process.send_signal(signal.SIGTERM)
        service.read_to_the_end()
        assert service.process.returncode == 0
        assert ready["http_url"] == service.url
        assert not ready["http_url"].endswith(":0")
        assert ready["startup_s"] > 0
        assert [event["event"] for event in service.events].count("daemon_ready") == 1


def test_the_last_line_is_that_it_has_stopped(tmp_path: Path) -> None:
    with running("work", tmp_path) as service:
        service.read_to("daemon_ready")
        service.process.send_signal(signal.SIGTERM)
        service.read_to_the_end()
        names = [event["event"] for event in service.events]
        assert names[-1] == "daemon_stopped"
        assert names.index("library_logged") < len(names) - 1
        assert service.events[-1]["reason"] == "stopped"


def test_an_outage_that_ended_it_is_told_before_the_failure(tmp_path: Path) -> None:
    with running("outage", tmp_path) as service:
        service.read_to_the_end()
        assert service.process.returncode != 0
        told = [(event["event"], event.get("waited_s")) for event in service.events]
        assert [name for name, _ in told if name != "summary"] == [
            "broker_unreachable",
            "broker_unreachable",
            "daemon_failed",
            "daemon_stopped",
        ]
        assert service.events[-1]["reason"] == "KafkaUnavailableError"


def test_a_bug_is_told_with_its_traceback(tmp_path: Path) -> None:
    with running("crash", tmp_path) as service:
        service.read_to_the_end()
        crashed, stopped = service.events[0], service.events[-1]
        assert crashed["event"] == "daemon_crashed"
        assert "RuntimeError: a bug" in crashed["exception"]
        assert (stopped["event"], stopped["reason"]) == ("daemon_stopped", "crashed")


def test_probes_are_answered_while_the_model_is_loaded_and_a_stop_is_heeded(
    tmp_path: Path,
) -> None:
    with running("loading", tmp_path) as service:
        service.read_to("url")
        assert httpx.get(f"{service.url}/livez", timeout=10).status_code == 200
        readiness = httpx.get(f"{service.url}/readyz", timeout=10)
        assert readiness.status_code == 503
        assert "loading" in readiness.json()["reason"]
        status = httpx.get(f"{service.url}/statusz", timeout=10).json()
        assert status["live"]["status"] == "ok"
        assert status["ready"] == readiness.json()
        service.process.send_signal(signal.SIGTERM)
        service.read_to_the_end()
        assert service.process.returncode == 0
        assert service.events[-1]["event"] == "daemon_stopped"


def test_without_an_endpoint_no_url_is_told(tmp_path: Path) -> None:
    """Control for the URL."""
    with running("work", tmp_path, http={"enabled": False}) as service:
        assert json.loads(service.read_to("daemon_ready"))["http_url"] is None


def test_the_process_takes_the_file_handles_it_may_have(tmp_path: Path) -> None:

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    with running("limits", tmp_path) as service:
        line = service.read_to("limits")
        assert line.startswith(f"limits ({wanted}, ")


@pytest.mark.parametrize("what", ["port", "setting", "bundle"])
def test_what_is_wrong_without_a_model_is_told_before_torch_is_loaded(
    what: str, tmp_path: Path
) -> None:
    program = (
        "import sys\nfrom stream_vae.cli import main\ntry:\n    main()\n"
        "finally:\n    print('torch', 'torch' in sys.modules)"
    )
    config, bundle = tmp_path / "config.json", tmp_path / "bundle"
    if what != "bundle":
        bundle.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1] if what == "port" else 0
        consumer = {"no.such.property": "1"} if what == "setting" else {}
        sections = {
            "http": {"port": port},
            "kafka": {"consumer": consumer},
            "bundle": {"path": str(bundle)},
        }
        config.write_text(json.dumps(sections))
        ended = subprocess.run(
            [sys.executable, "-c", program, "run", "--config", str(config)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={"PATH": os.environ["PATH"]},
        )
    assert ended.returncode == 2
    expected = {
        "port": f"port {port}: Address already in use",
        "setting": "no.such.property",
        "bundle": f"bundle {bundle}: no such folder",
    }[what]
    line, loaded = ended.stdout.splitlines()
    assert loaded == "torch False"
    failed = json.loads(line)
    assert (failed["level"], failed["event"]) == ("error", "daemon_failed"), "nothing has started"
    assert expected in failed["detail"]
    assert ended.stderr == "", "a log of JSON lines has no others"
