"""Schemas by HTTP: what is an answer, and what is an outage."""

import base64
import time
from collections.abc import Callable, Iterator

import pytest
from pydantic import TypeAdapter, ValidationError

from stream_vae.edges.registry import schema_client
from stream_vae.edges.registry.config import RegistryConfig
from stream_vae.edges.registry.schema_client import SchemaClient
from stream_vae.errors import ConfigError
from stream_vae.inputs.registry.schemas import RegisteredSchema, SchemaId, UnknownSchema
from tests.edges.registry.stand_in import Registry, registry
from tests.limits import Limit, slowness

GUID = "89791762-2336-4186-9674-299b90a802e2"


@pytest.fixture
def stand_in() -> Iterator[Registry]:
    with registry() as state:
        yield state


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema_client, "_FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(schema_client, "_ANSWER_WAIT_S", 0.05)


def client(stand_in: Registry, **settings: object) -> SchemaClient:
    return SchemaClient(RegistryConfig(url=stand_in.url, **settings))  # type: ignore[arg-type]


def until(is_reached: Callable[[], object]) -> None:
    limit = Limit(10.0)
    while not is_reached():
        assert not limit.is_over
        time.sleep(0.005)


def answered(one: SchemaClient, schema_id: SchemaId) -> RegisteredSchema | UnknownSchema:
    until(lambda: one.find([schema_id]))
    return one.find([schema_id])[schema_id]


def test_schemas_are_found_by_number_and_by_guid_and_asked_for_once(stand_in: Registry) -> None:
    stand_in.add(7, '"string"')
    stand_in.add(GUID, "{}", "JSON")
    one = client(stand_in)
    assert answered(one, 7) == RegisteredSchema(kind="AVRO", text='"string"')
    assert answered(one, GUID) == RegisteredSchema(kind="JSON", text="{}")
    assert len(one.find([7, GUID])) == 2
    assert stand_in.asked == ["/schemas/ids/7", f"/schemas/guids/{GUID}"]


def test_what_a_schema_refers_to_comes_along_those_first_that_others_need(
    stand_in: Registry,
) -> None:
    def refers(*names: str) -> list[dict[str, object]]:
        return [{"name": name, "subject": f"s/{name}", "version": 2} for name in names]

    stand_in.add(1, "one", references=refers("b", "a"))
    stand_in.schemas["/subjects/s%2Fa/versions/2"] = {"schema": "A", "references": refers("b")}
    stand_in.schemas["/subjects/s%2Fb/versions/2"] = {"schema": "B", "references": refers("c")}
    stand_in.schemas["/subjects/s%2Fc/versions/2"] = {"schema": "C", "references": refers("b")}
    found = answered(client(stand_in), 1)
    assert isinstance(found, RegisteredSchema)
    assert list(found.references.items()) == [("c", "C"), ("b", "B"), ("a", "A")]


def test_no_such_schema_is_an_answer_and_is_asked_again_later(
    stand_in: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = client(stand_in)
    assert answered(one, 9) == UnknownSchema(detail="HTTP 404 Schema not found")
    stand_in.add(9, '"int"')
    assert isinstance(answered(one, 9), UnknownSchema), "not yet"
    monkeypatch.setattr(schema_client, "_UNKNOWN_FOR_S", 0.0)
    late = client(stand_in)
    stand_in.schemas.clear()
    assert isinstance(answered(late, 9), UnknownSchema)
    stand_in.add(9, '"int"')
    until(lambda: isinstance(late.find([9]).get(9), RegisteredSchema))


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_anything_else_is_an_outage_that_is_told_and_ends(stand_in: Registry, status: int) -> None:
    stand_in.add(7, '"string"')
    stand_in.status = status
    one = client(stand_in)
    assert one.find([7]) == {}
    until(lambda: f"HTTP {status}" in one.waiting_for(7))
    assert one.waiting_for(7) == f"schema 7 of {stand_in.url}: HTTP {status} out of order"
    stand_in.status = None
    assert isinstance(answered(one, 7), RegisteredSchema)
    assert one.waiting_for(7) == f"schema 7 of {stand_in.url}"


def test_a_404_of_something_that_is_no_registry_is_an_outage(stand_in: Registry) -> None:
    one = SchemaClient(RegistryConfig(url=f"{stand_in.url}/elsewhere"))
    stand_in.answer = lambda _: (404, {"detail": "no route"})  # type: ignore[assignment, method-assign]
    one.find([7])
    until(lambda: "HTTP 404" in one.waiting_for(7))
    assert one.find([7]) == {}


def test_another_address_answers_where_the_first_does_not(stand_in: Registry) -> None:
    stand_in.add(7, '"string"')
    with registry() as gone:
        closed = gone.url
    one = SchemaClient(RegistryConfig(url=f"{closed}, {stand_in.url}/"))
    assert isinstance(answered(one, 7), RegisteredSchema)


def test_credentials_are_sent_and_never_told(stand_in: Registry) -> None:
    stand_in.status = 401
    config = {"user": "key", "password": "hush"}
    one = SchemaClient(_config(url=stand_in.url, **config))
    one.find([1])
    until(lambda: one.waiting_for(1).endswith("out of order"))
    assert stand_in.authorization[0] == "Basic " + base64.b64encode(b"key:hush").decode()
    assert "hush" not in one.waiting_for(1) + repr(_config(url=stand_in.url, **config))
    SchemaClient(_config(url=stand_in.url, token="pass")).find([1])  # noqa: S106
    until(lambda: "Bearer pass" in stand_in.authorization)


def test_many_unknown_ids_hold_nobody_up_for_long(stand_in: Registry) -> None:
    one = client(stand_in)
    begin = time.monotonic()
    one.find(range(1000, 1500))
    assert time.monotonic() - begin < slowness(), "it would be 25 s"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"url": "registry:8081"}, "http://"),
        ({"url": "http://"}, "host"),
        ({"url": "http://key:hush@registry"}, "must not hold a password"),
        ({"user": "key"}, "together"),
        ({"user": "key", "password": "hush", "token": "x"}, "exclude"),
        ({"ssl_key_location": "k.pem"}, "together"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, str], told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        _config(**{"url": "http://r", **settings})
    [error] = caught.value.errors()
    assert told in error["msg"]
    assert "hush" not in error["msg"]


def test_a_certificate_that_cannot_be_read_is_the_operators_mistake() -> None:
    with pytest.raises(ConfigError, match="ssl_ca_location"):
        SchemaClient(RegistryConfig(url="https://r", ssl_ca_location="/none.pem"))


def _config(**settings: str) -> RegistryConfig:
    """Return the settings as they are loaded, secrets hidden."""
    return TypeAdapter(RegistryConfig).validate_python(settings)
