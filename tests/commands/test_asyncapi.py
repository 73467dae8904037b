"""`stream-vae config asyncapi`: the document is valid, and real records fit what it says."""

import json
import os
import shutil
import subprocess
from copy import deepcopy
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest

from stream_vae.commands.jobs.asyncapi import deployment, document_text
from stream_vae.core.model_spec import numeric_features
from stream_vae.errors import ConfigError
from stream_vae.inputs.reading_encoder import ReadingEncoder
from stream_vae.inputs.reading_format import InputFormat, ReadingFormat
from stream_vae.settings import Settings, load_settings
from stream_vae.wire.asyncapi import asyncapi_document

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))
PARSER = os.environ.get("STREAM_VAE_ASYNCAPI_PARSER")
PROGRAM = """
const {Parser} = require(process.argv[1] + "/node_modules/@asyncapi/parser");
const text = require("fs").readFileSync(0, "utf8");
new Parser().parse(text).then(({document, diagnostics}) => {
  const errors = diagnostics.filter(one => one.severity === 0);
  console.log(JSON.stringify({parsed: document !== undefined, errors: errors}));
});
"""


@pytest.fixture(autouse=True)
def _no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the variable of the tests be none of the program's."""
    monkeypatch.delenv("STREAM_VAE_ASYNCAPI_PARSER", raising=False)


def of(**input_settings: Any) -> dict[str, Any]:
    return asyncapi_document(deployment(Settings.model_validate({"input": input_settings})))


def faults(document: dict[str, Any]) -> list[str]:
    """Return what does not fit: examples their schemas, references what they name."""
    found = []
    for name, message in document["components"]["messages"].items():
        for example in message.get("examples", []):
            for part in ("headers", "payload"):
                schema = jsonschema.Draft7Validator(
                    message[part], format_checker=jsonschema.Draft7Validator.FORMAT_CHECKER
                )
                errors = schema.iter_errors(example.get(part, {}))
                found += [f"{name} {part}: {error.message}" for error in errors]
    for text in json.dumps(document).split('"$ref": "#/')[1:]:
        node = document
        for step in text.partition('"')[0].split("/"):
            node = node.get(step, {})
        found += [] if node else [f"{text[:40]} leads nowhere"]
    return found


@pytest.mark.parametrize("name", get_args(InputFormat))
def test_examples_fit_their_schemas_and_references_lead_somewhere(name: InputFormat) -> None:
    assert faults(of(format=name)) == []


def test_an_example_that_does_not_fit_and_a_reference_to_nothing_are_found() -> None:
    document = of()
    wrong = deepcopy(document)
    messages = wrong["components"]["messages"]
    messages["alerts"]["examples"][0]["payload"]["ends_at"] = "2026-04-27T12:00:00Z"
    messages["deadLetters"]["examples"][0]["headers"]["dlq.reason"] = "unknown"
    messages["readings"]["examples"][0]["payload"].clear()
    del wrong["components"]["messages"]["state"]
    assert [fault.split(":")[0].split(" ")[0] for fault in faults(wrong)] == [
        *("readings", "alerts", "deadLetters", 'components/messages/state"}},'),
    ]


def test_every_topic_of_the_settings_is_named() -> None:
    named = {one["address"] for one in of()["channels"].values()}
    assert named == {
        *("stream-vae.readings", "stream-vae.alerts", "stream-vae.dead-letters"),
        *("stream-vae.late", "stream-vae-changelog"),
    }


def test_scores_are_told_of_where_they_are_published() -> None:
    output = {"scores_topic": "scores", "scores_series": ["pump-*"]}
    settings = Settings.model_validate({"output": output})
    document = asyncapi_document(deployment(settings))
    assert document["channels"]["scores"]["address"] == "scores"
    assert faults(document) == []


SECURED: dict[str, tuple[dict[str, str], dict[str, object] | None]] = {
    "nothing": ({}, None),
    "TLS alone": ({"security_protocol": "SSL"}, None),
    "mutual TLS": (
        {"security_protocol": "SSL", "ssl_certificate_location": "c", "ssl_key_location": "k"},
        {"type": "X509"},
    ),
    "PLAIN": ({"sasl_mechanism": "PLAIN", "sasl_username": "me"}, {"type": "plain"}),
    "SCRAM": (
        {"sasl_mechanism": "SCRAM-SHA-512", "sasl_username": "me"},
        {"type": "scramSha512", "description": "SASL SCRAM-SHA-512"},
    ),
    "Kerberos": ({"sasl_mechanism": "GSSAPI"}, {"type": "gssapi"}),
    "token": (
        {
            "sasl_mechanism": "OAUTHBEARER",
            "sasl_oauthbearer_token_endpoint_url": "https://login.example.org/token",
            "sasl_oauthbearer_client_id": "me",
            "sasl_oauthbearer_scope": "kafka",
        },
        {"type": "oauth2", "scopes": ["kafka"]},
    ),
}
"""Settings without any secret, and what the scheme holds."""


@pytest.mark.parametrize(("kafka", "holds"), SECURED.values(), ids=[*SECURED])
def test_it_says_how_brokers_let_clients_in_and_needs_no_secret_for_it(
    kafka: dict[str, str], holds: dict[str, object] | None, tmp_path: Path
) -> None:
    config = tmp_path / "c.json"
    sasl = {"security_protocol": "SASL_SSL"} if "sasl_mechanism" in kafka else {}
    page = {"enabled": True, "host": "10.0.0.1"}  # asks for a token
    config.write_text(json.dumps({"kafka": sasl | kafka, "page": page}))
    document = json.loads(document_text(config, None))
    schemes = document["components"].get("securitySchemes", {})
    asked = [server.get("security", []) for server in document["servers"].values()]
    assert faults(document) == []
    if PARSER is not None:
        assert _parsed(json.dumps(document)) == {"parsed": True, "errors": []}
    if holds is None:
        assert (schemes, asked) == ({}, [[]])
    else:
        assert holds.items() <= schemes["kafka"].items()
        assert asked == [[{"$ref": "#/components/securitySchemes/kafka"}]]
    if sasl and kafka["sasl_mechanism"] != "GSSAPI":
        with pytest.raises(ConfigError, match="must be given"):
            load_settings(config=config, environ={})


@pytest.mark.parametrize(
    "settings", [{}, {"timestamp_field": "meta.at", "series_field": "meta.pump"}]
)
def test_what_feed_publishes_fits_the_schema_of_the_input(settings: dict[str, Any]) -> None:
    schema = of(**settings)["components"]["messages"]["readings"]["payload"]
    encoder = ReadingEncoder(numeric_features(["flow"]), ReadingFormat(**settings))
    value = json.loads(encoder.encode(series="p", time_ns=10**18, values=[1.0]))
    jsonschema.validate(value, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"flow": 1.0}, schema)


@pytest.mark.skipif(
    PARSER is None or shutil.which("node") is None,
    reason="STREAM_VAE_ASYNCAPI_PARSER names a folder after `npm install @asyncapi/parser` there",
)
@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_the_parser_of_asyncapi_takes_the_document(config: Path) -> None:
    text = document_text(config, None)
    assert _parsed(text) == {"parsed": True, "errors": []}
    assert not _parsed(text.replace('"action": "send"', '"action": "sendx"'))["parsed"]


def _parsed(text: str) -> dict[str, Any]:
    command = ["node", "-e", PROGRAM, str(PARSER)]
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=60, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found
