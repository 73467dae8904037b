"""Receivers by the rules that their makers publish, in memory or on loopback."""

import base64
import hashlib
import hmac
import json
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from stream_vae.core.ports import Clock
from stream_vae.forwarding.exchange import DeliveryError, Request, Response

KEY = b"a key of two dozen bytes"
SECRET = "whsec_" + base64.b64encode(KEY).decode()

Headers = Mapping[str, str]
"""Lower-case names."""


class StandIn:
    """Answers requests; what it does is up to each.

    Args:
        clock: Wall clock of the receiver.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.plan: deque[Response | None] = deque()
        """Answers instead of its own, in turn; None: no answer."""
        self.is_down = False
        self.n_requests = 0

    def send(self, request: Request) -> Response:
        self.n_requests += 1
        if self.is_down:
            raise DeliveryError("connection refused")
        if self.plan:
            planned = self.plan.popleft()
            if planned is None:
                raise DeliveryError("connection refused")
            return planned
        headers = {name.lower(): value for name, value in request.headers.items()}
        return self.answer(request.method, request.path, headers, request.body or b"")

    def answer(self, method: str, path: str, headers: Headers, body: bytes) -> Response:
        raise NotImplementedError

    def fires(self) -> set[str]:
        """Return the series that fire, as a person sees it."""
        raise NotImplementedError

    def told(self) -> list[str]:
        """Return what a person was told, in order: `series status`, repetitions left out."""
        raise NotImplementedError

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.clock.time_ns() / 1e9, UTC)


class Alertmanager(StandIn):
    """Alerts are one by their labels, and end at `endsAt`."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.alerts: dict[tuple[tuple[str, str], ...], dict[str, Any]] = {}
        self.requests: list[int] = []
        """Alerts of each request."""
        self._told: list[str] = []

    def answer(self, method: str, path: str, headers: Headers, body: bytes) -> Response:
        assert (method, path) == ("POST", "/api/v2/alerts")
        self.requests.append(len(json.loads(body)))
        fault = ""
        for alert in json.loads(body):
            starts, ends = (datetime.fromisoformat(alert[n]) for n in ("startsAt", "endsAt"))
            labels = alert["labels"]
            if not all(re.fullmatch("[a-zA-Z_][a-zA-Z0-9_]*", name) for name in labels):
                fault = "invalid label set"
            elif ends < starts:
                fault = "start time must be before end time"
            else:
                self._take(alert, fires=ends > self.now())
        return Response(status=400, body=fault.encode()) if fault else Response(status=200)

    def _take(self, alert: dict[str, Any], *, fires: bool) -> None:
        identity = tuple(sorted(alert["labels"].items()))
        fired = self._fires(self.alerts.get(identity))
        self.alerts[identity] = alert
        if fired != fires:
            labels = alert["labels"]
            state = "firing" if fires else "resolved"
            self._told.append(f"{labels['series']} {labels['severity']} {state}")

    def _fires(self, alert: dict[str, Any] | None) -> bool:
        return alert is not None and datetime.fromisoformat(alert["endsAt"]) > self.now()

    def fires(self) -> set[str]:
        return {one["labels"]["series"] for one in self.alerts.values() if self._fires(one)}

    def told(self) -> list[str]:
        return self._told


class Webhook(StandIn):
    """Standard Webhooks: refuses what is not signed, and what is signed long ago."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.taken: list[tuple[str, dict[str, Any]]] = []

    def answer(self, method: str, path: str, headers: Headers, body: bytes) -> Response:
        assert method == "POST"
        sent = headers["webhook-timestamp"]
        signed = f"{headers['webhook-id']}.{sent}.".encode() + body
        wanted = base64.b64encode(hmac.digest(KEY, signed, hashlib.sha256)).decode()
        if f"v1,{wanted}" not in headers["webhook-signature"].split():
            return Response(status=401)
        if abs(int(sent) - self.now().timestamp()) > 300:
            return Response(status=400, body=b"too old")
        self.taken.append((headers["webhook-id"], json.loads(body)))
        return Response(status=204)

    def _events(self) -> list[dict[str, Any]]:
        return list(dict(self.taken).values())

    def fires(self) -> set[str]:
        last = {event["incident_id"]: event for event in self._events()}
        return {e["series"]["key"] for e in last.values() if e["status"] == "firing"}

    def told(self) -> list[str]:
        return [f"{e['series']['key']} {e['severity']} {e['status']}" for e in self._events()]


class Slack(StandIn):
    """An incoming webhook: one message a second."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.messages: list[dict[str, Any]] = []
        self._last_at = float("-inf")

    def answer(self, method: str, path: str, headers: Headers, body: bytes) -> Response:
        assert method == "POST"
        if self.clock.monotonic() < self._last_at + 0.999:
            return Response(status=429, retry_after="1")
        message = json.loads(body)
        section, context = message["blocks"]
        texts = [section["text"], *context["elements"]]
        if not all(0 < len(t["text"]) <= 3000 and t["type"] == "mrkdwn" for t in texts):
            return Response(status=400, body=b"invalid_blocks")
        if len(context["elements"]) > 10 or not message["text"]:
            return Response(status=400, body=b"no_text")
        self._last_at = self.clock.monotonic()
        self.messages.append(message)
        return Response(status=200, body=b"ok")

    def told(self) -> list[str]:
        found = [re.match(r"(\w+) (\w+): ([^:]+)", m["text"]) for m in self.messages]
        words = {"FIRING": "firing", "UPDATE": "firing", "RESOLVED": "resolved"}
        return [f"{m[3]} {m[2]} {words[m[1]]}" for m in found if m]

    def fires(self) -> set[str]:
        last = {line.split()[0]: line for line in self.told()}
        return {series for series, line in last.items() if line.endswith("firing")}


class PagerDuty(StandIn):
    """Events API version 2: one incident for each `dedup_key`."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.open: dict[str, dict[str, Any]] = {}
        self._told: list[str] = []

    def answer(self, method: str, path: str, headers: Headers, body: bytes) -> Response:
        assert method == "POST"
        event = json.loads(body)
        key = event["dedup_key"]
        assert event["routing_key"] == "R" * 32
        assert len(key) <= 255
        if event["event_action"] == "resolve":
            was = self.open.pop(key, None)
            if was is not None:
                self._told.append(f"{was['source']} {was['severity']} resolved")
            return Response(status=202)
        payload = event["payload"]
        if not 0 < len(payload["summary"]) <= 1024:
            return Response(status=400, body=b"'payload.summary' is too long")
        assert payload["severity"] in {"critical", "error", "warning", "info"}
        datetime.fromisoformat(payload["timestamp"])
        before = self.open.get(key)
        self.open[key] = payload
        if before is None or before["severity"] != payload["severity"]:
            self._told.append(f"{payload['source']} {payload['severity']} firing")
        return Response(status=202, body=b'{"status": "success"}')

    def fires(self) -> set[str]:
        return {payload["source"] for payload in self.open.values()}

    def told(self) -> list[str]:
        return self._told


class Grafana(StandIn):
    """The annotations of one organisation."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.annotations: dict[int, dict[str, Any]] = {}
        self._told: list[str] = []

    def answer(self, method: str, path: str, headers: Headers, body: bytes) -> Response:
        parts = urlsplit(path)
        if method == "GET":
            asked = parse_qs(parts.query)
            assert asked["type"] == ["annotation"]
            found = [
                {"id": number, **one}
                for number, one in self.annotations.items()
                if set(asked["tags"]) <= set(one["tags"])
            ]
            return Response(status=200, body=json.dumps(found).encode())
        sent = json.loads(body)
        assert len(",".join(sent["tags"])) <= 500
        if method == "POST":
            assert parts.path == "/api/annotations"
            number = len(self.annotations) + 1
            self.annotations[number] = {"timeEnd": sent["time"], **sent}
        else:
            number = int(parts.path.removeprefix("/api/annotations/"))
            self.annotations[number] |= sent
        self._tell(self.annotations[number])
        return Response(status=200, body=json.dumps({"id": number}).encode())

    def _tell(self, one: dict[str, Any]) -> None:
        named = dict(tag.split(":", 1) for tag in one["tags"] if ":" in tag)
        state = "resolved" if one["timeEnd"] > one["time"] else "firing"
        line = f"{named['series']} {named['severity']} {state}"
        if line not in self._told:
            self._told.append(line)

    def fires(self) -> set[str]:
        named = [
            dict(tag.split(":", 1) for tag in one["tags"] if ":" in tag)
            for one in self.annotations.values()
            if one["timeEnd"] == one["time"]
        ]
        return {tags["series"] for tags in named}

    def told(self) -> list[str]:
        return self._told


@contextmanager
def serving(answer: Callable[[str, str, Headers, bytes], Response]) -> Iterator[str]:
    """Serve answers on loopback; yield the address."""

    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            response = answer(self.command, self.path, headers, body)
            self.send_response(response.status)
            if response.retry_after:
                name = "Location" if 300 <= response.status < 400 else "Retry-After"
                self.send_header(name, response.retry_after)
            self.end_headers()
            self.wfile.write(response.body)

        do_GET = do_POST = do_PATCH = _handle  # noqa: N815 -- as the library calls them

        def log_message(self, *_: Any) -> None: ...

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            """Who hung up has read enough."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
