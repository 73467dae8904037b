"""Looks up schemas by HTTP, in a thread of its own: the poll loop never waits for a registry."""

import base64
import http.client
import json
import ssl
import threading
import time
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from stream_vae.core.excerpts import printable
from stream_vae.edges.registry.config import RegistryConfig
from stream_vae.errors import ConfigError
from stream_vae.inputs.registry.schemas import (
    RegisteredSchema,
    SchemaId,
    SchemaSource,
    UnknownSchema,
)

_ANSWER_WAIT_S = 0.25
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_UNKNOWN_FOR_S = 60.0
_LARGEST_ANSWER = 16 * 2**20
_MOST_SCHEMAS = 10_000
_MOST_REFERENCES = 100
_ACCEPT = "application/vnd.schemaregistry.v1+json, application/json"
_NOT_FOUND = 404


class _UnansweredError(Exception):
    """The registry gave no usable answer: it is asked again."""


class _NotFoundError(Exception):
    """The registry has no such schema."""


@dataclass(slots=True)
class _Lookup:
    """What is known of one schema; written by the client's thread alone once it is queued."""

    done: threading.Event = field(default_factory=threading.Event)
    found: RegisteredSchema | UnknownSchema | None = None
    complaint: str = ""
    asked_again_at: float = float("inf")


def schema_source(config: RegistryConfig) -> SchemaSource | None:
    """Return a client; None if no registry is named.

    Raises:
        ConfigError: If a certificate or key cannot be read.
    """
    return SchemaClient(config) if config.urls else None


class SchemaClient:
    """Looks up schemas in the background; see `SchemaSource`.

    What the registry does not have may be registered later: it is asked again after a minute.
    Anything else but an answer (no connection, 401, 500, nonsense) is no answer, and is asked
    again, ever more seldom.

    Args:
        config: Addresses and credentials.

    Raises:
        ConfigError: If a certificate or key cannot be read.
    """

    def __init__(self, config: RegistryConfig) -> None:
        self._config = config
        self._context = _tls(config) if any(u.startswith("https") for u in config.urls) else None
        self._headers = {"Accept": _ACCEPT, **_credentials(config)}
        self._lock = threading.Lock()
        self._lookups: OrderedDict[SchemaId, _Lookup] = OrderedDict()
        self._queue: list[SchemaId] = []
        self._work = threading.Semaphore(0)
        self._first = 0  # the address that answered last
        self._thread: threading.Thread | None = None

    def find(
        self, ids: Collection[SchemaId]
    ) -> Mapping[SchemaId, RegisteredSchema | UnknownSchema]:
        """Return the schemas that the registry has answered for; see `SchemaSource`."""
        asked: list[_Lookup] = []
        lookups: dict[SchemaId, _Lookup] = {}
        for schema_id in ids:
            lookup = self._lookups.get(schema_id)
            if lookup is None or time.monotonic() >= lookup.asked_again_at:
                lookup = self._ask(schema_id)
                asked.append(lookup)
            lookups[schema_id] = lookup
        until = time.monotonic() + _ANSWER_WAIT_S
        for lookup in asked:
            lookup.done.wait(max(until - time.monotonic(), 0.0))
        answers = {schema_id: lookup.found for schema_id, lookup in lookups.items()}
        return {schema_id: found for schema_id, found in answers.items() if found is not None}

    def waiting_for(self, schema_id: SchemaId) -> str:
        """Return what is being waited for, and why so long."""
        lookup = self._lookups.get(schema_id)
        why = lookup.complaint if lookup is not None else ""
        return f"schema {schema_id} of {', '.join(self._config.urls)}{why and ': '}{why}"

    def _ask(self, schema_id: SchemaId) -> _Lookup:
        with self._lock:
            lookup = self._lookups[schema_id] = _Lookup()
            while len(self._lookups) > _MOST_SCHEMAS:
                self._lookups.popitem(last=False)
            self._queue.append(schema_id)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="schema-registry", daemon=True
                )
                self._thread.start()
        self._work.release()
        return lookup

    def _run(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            self._work.acquire()
            with self._lock:
                schema_id = self._queue.pop(0)
                lookup = self._lookups.get(schema_id)
            if lookup is None:
                continue
            try:
                self._look_up(schema_id, lookup)
                pause_s = _FIRST_PAUSE_S
            except _UnansweredError as exc:
                lookup.complaint = str(exc)
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                with self._lock:
                    self._queue.append(schema_id)
                self._work.release()

    def _look_up(self, schema_id: SchemaId, lookup: _Lookup) -> None:
        """Ask until there is an answer.

        Raises:
            _UnansweredError: If no address answered.
        """
        path = (
            f"/schemas/ids/{schema_id}"
            if isinstance(schema_id, int)
            else f"/schemas/guids/{schema_id}"
        )
        try:
            lookup.found = self._schema(path)
        except _NotFoundError as exc:
            lookup.asked_again_at = time.monotonic() + _UNKNOWN_FOR_S
            lookup.found = UnknownSchema(detail=str(exc))
        lookup.complaint = ""
        lookup.done.set()

    def _schema(self, path: str) -> RegisteredSchema:
        answer = self._get(path)
        text, kind = answer.get("schema"), answer.get("schemaType", "AVRO")
        if not isinstance(text, str) or not isinstance(kind, str):
            raise _UnansweredError("the answer holds no schema")
        references: dict[str, str] = {}
        self._follow(answer, references)
        return RegisteredSchema(kind=kind, text=text, references=references)

    def _follow(self, answer: Mapping[str, Any], found: dict[str, str]) -> None:
        """Add the schemas that one refers to, and before each those that it refers to."""
        references = answer.get("references") or []
        if not isinstance(references, list):
            raise _UnansweredError("the answer holds references that are no list")
        for each in references:
            try:
                name, subject, version = each["name"], each["subject"], int(each["version"])
            except (KeyError, TypeError, ValueError):
                raise _UnansweredError("the answer holds a reference without a version") from None
            if name in found:
                continue
            if len(found) == _MOST_REFERENCES:
                raise _UnansweredError(f"a schema refers to more than {_MOST_REFERENCES} others")
            inner = self._get(f"/subjects/{quote(str(subject), safe='')}/versions/{version}")
            found[name] = ""  # a circle ends here
            self._follow(inner, found)
            del found[name]
            found[name] = str(inner.get("schema", ""))

    def _get(self, path: str) -> dict[str, Any]:
        """Return the answer of the first address that gives one.

        Raises:
            _NotFoundError: If it is 404.
            _UnansweredError: If none does.
        """
        urls, complaints = self._config.urls, []
        for turn in range(len(urls)):
            at = (self._first + turn) % len(urls)
            try:
                answer = self._get_from(urls[at], path)
            except _UnansweredError as exc:
                complaints.append(str(exc))
            else:
                self._first = at
                return answer
        raise _UnansweredError("; ".join(dict.fromkeys(complaints)))

    def _get_from(self, url: str, path: str) -> dict[str, Any]:
        parts = urlsplit(url)
        host, timeout_s = parts.hostname or "", self._config.timeout_s
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            connection = http.client.HTTPSConnection(
                host, parts.port, timeout=timeout_s, context=self._context
            )
        else:
            connection = http.client.HTTPConnection(host, parts.port, timeout=timeout_s)
        try:
            connection.request("GET", parts.path + path, headers=self._headers)
            response = connection.getresponse()
            body = response.read(_LARGEST_ANSWER)
        except (OSError, http.client.HTTPException) as exc:
            raise _UnansweredError(printable(str(exc) or type(exc).__name__, 150)) from None
        finally:
            connection.close()
        return _answer(response.status, body)


def _answer(status: int, body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    said = answer.get("message", "") if isinstance(answer, dict) else ""
    told = f"HTTP {status} {printable(str(said), 100)}".strip()
    if status == _NOT_FOUND and isinstance(answer, dict) and "error_code" in answer:
        raise _NotFoundError(told)
    if status != http.client.OK:
        raise _UnansweredError(told)
    if not isinstance(answer, dict):
        raise _UnansweredError(f"{told}: the answer is no JSON object")
    return answer


def _credentials(config: RegistryConfig) -> dict[str, str]:
    if config.token is not None:
        return {"Authorization": f"Bearer {config.token.get_secret_value()}"}
    if config.user is None or config.password is None:
        return {}
    pair = f"{config.user}:{config.password.get_secret_value()}".encode()
    return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}


def _tls(config: RegistryConfig) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=config.ssl_ca_location)
        if config.ssl_certificate_location is not None:
            context.load_cert_chain(config.ssl_certificate_location, config.ssl_key_location)
    except (OSError, ssl.SSLError) as exc:
        raise ConfigError(
            f"registry.ssl_ca_location, ssl_certificate_location, ssl_key_location: {exc}; "
            "expected PEM files"
        ) from None
    return context
