"""A schema registry in a thread, with the part of Confluent's HTTP API that readers use."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Registry:
    """What the registry holds, and how it behaves."""

    url: str = ""
    schemas: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Path -> answer."""
    asked: list[str] = field(default_factory=list)
    authorization: list[str | None] = field(default_factory=list)
    status: int | None = None
    """Set, what it answers instead."""

    def add(self, schema_id: int | str, text: str, kind: str = "AVRO", **more: Any) -> None:
        """Register a schema; as the registry does, Avro is not named."""
        path = "ids" if isinstance(schema_id, int) else "guids"
        named = {} if kind == "AVRO" else {"schemaType": kind}
        self.schemas[f"/schemas/{path}/{schema_id}"] = {"schema": text, **named, **more}

    def answer(self, path: str) -> tuple[int, Mapping[str, Any]]:
        if self.status is not None:
            return self.status, {"error_code": self.status, "message": "out of order"}
        if path in self.schemas:
            return 200, self.schemas[path]
        return 404, {"error_code": 40403, "message": "Schema not found"}


@contextmanager
def registry(port: int = 0) -> Iterator[Registry]:
    """Run a registry."""
    state = Registry()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            state.authorization.append(self.headers["Authorization"])
            status, answer = state.answer(self.path)
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the library's
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
