"""The configurations we hand out can be used as they are."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from stream_vae.commands.config import schema_text
from stream_vae.settings import load_settings

CONFIGS = Path(__file__).parents[2] / "configs"
SCHEMA_FILE = CONFIGS / "stream-vae.schema.json"
FILES = sorted(CONFIGS.glob("*.yaml"))


def schema() -> Any:
    return json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))


def test_there_are_configurations() -> None:
    assert {file.name for file in FILES} >= {"sensors.yaml", "log-vectors.yaml"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_each_can_be_loaded(file: Path) -> None:
    loaded = load_settings(file, environ={})
    assert any(origin.startswith(str(file)) for origin in loaded.origins.values())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_each_names_its_schema_and_fits_it(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.startswith(f"# yaml-language-server: $schema={SCHEMA_FILE.name}\n")
    jsonschema.Draft202012Validator(schema()).validate(yaml.safe_load(text))


def test_the_schema_is_that_of_the_settings() -> None:
    """Write it anew with: stream-vae config schema > configs/stream-vae.schema.json."""
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text() + "\n"


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize(
    "wrong",
    [{"kafka": {"grup_id": "x"}}, {"kafk": {}}, {"http": {"port": "many"}}, {"http": {"port": -1}}],
    ids=str,
)
def test_the_schema_refuses_what_settings_refuse(wrong: dict[str, Any]) -> None:
    """Control: a schema that lets everything pass would fit all files."""
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema()).validate(wrong)
