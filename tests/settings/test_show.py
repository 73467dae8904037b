"""What is shown is what is in force, less its secrets."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from stream_vae.core.masking import MASK
from stream_vae.settings import load_settings, to_json, to_yaml
from stream_vae.settings.fields import settings_table
from stream_vae.settings.load import LoadedSettings

SECRETS = {
    "STREAM_VAE_KAFKA__SECURITY_PROTOCOL": "SASL_SSL",
    "STREAM_VAE_KAFKA__SASL_MECHANISM": "PLAIN",
    "STREAM_VAE_KAFKA__SASL_USERNAME": "ann",
    "STREAM_VAE_KAFKA__SASL_PASSWORD": "hunter2",
    "STREAM_VAE_KAFKA__PRODUCER": '{"ssl.keystore.password": "hunter2", "linger.ms": 5}',
    "STREAM_VAE_DETECTOR__LINKS": '{"runbook": "https://bob:hunter2@example.org/r"}',
}


def load(overrides: dict[str, object] | None = None) -> LoadedSettings:
    return load_settings(overrides=overrides, environ={})


def test_what_is_shown_can_be_loaded_again(tmp_path: Path) -> None:
    overrides: dict[str, object] = {
        "kafka.producer.linger.ms": 5,
        "worker.max_wait_ms": 0.5,
        "http.enabled": False,
    }
    loaded = load(overrides)
    file = tmp_path / "shown.yaml"
    file.write_text(to_yaml(loaded))
    assert load_settings(file, environ={}).settings == loaded.settings


@given(st.dictionaries(st.text(min_size=1), st.text(), max_size=3))
def test_any_label_survives_being_shown(labels: dict[str, str]) -> None:
    """Line ends, quotes, colons, `#`, `yes`, `1`: the YAML shown means the same text."""
    printable = {key: value for key, value in labels.items() if (key + value).isascii()}
    loaded = load({"detector.labels": printable})
    shown = loaded.masked()["detector"]["labels"]
    assert yaml.safe_load(to_yaml(loaded))["detector"]["labels"] == shown
    assert json.loads(to_json(loaded))["settings"]["detector"]["labels"] == shown


def test_secrets_are_shown_nowhere() -> None:
    loaded = load_settings(environ=SECRETS)
    assert loaded.settings.kafka.producer["ssl.keystore.password"] == "hunter2"
    for text in (to_yaml(loaded), to_json(loaded), str(loaded.masked())):
        assert "hunter2" not in text
        assert text.count("**********") == 3
        assert "linger.ms" in text


MISSPELT = (
    *("sasl.pasword", "ssl.key.pasword", "sasl.passwrod", "sasl.oauthbearer.client.secrt"),
    *("pwd", "key", "SSL.KEYSTORE.PASWORD"),
)


@pytest.mark.parametrize("place", ["common", "consumer", "producer"])
def test_a_client_property_is_shown_only_if_it_is_known_to_be_open(place: str) -> None:
    """What is misspelt is masked; controls: limits, switches and open texts are not."""
    open_ones: dict[str, object] = {
        "linger.ms": 5,
        "socket.keepalive.enable": True,
        "client.rack": "a",
        "ssl.cipher.suites": "HIGH",
        "sasl.mechanisms.x": 7,
    }
    given_ones = open_ones | dict.fromkeys(MISSPELT, "hunter2") | {"sasl.pin": 1234}
    loaded = load({f"kafka.{place}.{name}": value for name, value in given_ones.items()})
    shown = loaded.masked()["kafka"][place]
    masked = {name for name, value in shown.items() if value == MASK}
    assert masked == {*MISSPELT, "sasl.pin", "sasl.mechanisms.x"}
    assert shown["client.rack"] == "a"
    assert "hunter2" not in to_yaml(loaded) + to_json(loaded) + str(loaded.changed())


def test_what_is_logged_at_start_is_what_differs_from_the_defaults() -> None:
    set_here: dict[str, object] = {"kafka.group_id": "pumps", "http.port": 8080}
    assert load(set_here).changed() == {"kafka.group_id": "pumps"}, "8080 is the default"
    assert load().changed() == {}
    secret = load_settings(environ=SECRETS)
    assert secret.changed()["kafka.sasl_password"] == MASK
    assert "hunter2" not in str(secret.changed())


def test_dotted_names_hold_everything_that_is_in_force() -> None:
    dotted = load({"kafka.group_id": "pumps"}).dotted()
    assert dotted["kafka.group_id"] == "pumps"
    assert dotted["http.port"] == 8080
    assert set(dotted) == {name for name, *_ in settings_table()}


def test_every_line_tells_its_origin() -> None:
    lines = to_yaml(load({"kafka.group_id": "pumps"})).splitlines()
    values = [line for line in lines if not line.rstrip().endswith(":")]
    assert all("  # default" in line or "  # command line" in line for line in values)
    assert [line.split()[:2] for line in values if "command line" in line] == [
        ["group_id:", "pumps"]
    ]


def test_json_holds_an_origin_for_every_setting() -> None:
    content = json.loads(to_json(load({"kafka.producer.linger.ms": 5})))
    assert content["origins"]["kafka.producer.linger.ms"] == "command line"
    assert content["origins"]["worker.threads"] == "default"
