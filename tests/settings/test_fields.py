"""Settings describe themselves."""

import dataclasses
from typing import Any, get_type_hints

import pytest

from stream_vae.settings import Settings, markdown_table, settings_table
from stream_vae.settings.fields import FieldSpec, field_specs
from stream_vae.settings.setting_errors import nearest


def dataclass_leaves(kind: type[Any], path: tuple[str, ...]) -> set[str]:
    """An independent walk, by the dataclasses instead of the schema."""
    leaves = set()
    for name, hint in get_type_hints(kind).items():
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            leaves |= dataclass_leaves(hint, (*path, name))
        else:
            leaves.add(".".join((*path, name)))
    return leaves


def test_every_setting_is_in_the_table() -> None:
    expected = set()
    for name, info in Settings.model_fields.items():
        kind: Any = info.annotation
        is_section = dataclasses.is_dataclass(kind)
        expected |= dataclass_leaves(kind, (name,)) if is_section else {name}
    assert {row[0] for row in settings_table()} == expected
    assert len(expected) > 60


@pytest.mark.parametrize("row", settings_table(), ids=lambda row: row[0])
def test_every_setting_says_what_it_means(row: tuple[str, str, str, str]) -> None:
    _, expected, _, description = row
    assert expected
    assert "value" not in expected.split(), "a type that has no words yet"
    assert description.endswith(".")


def test_the_table_is_markdown_of_four_columns() -> None:
    lines = markdown_table().splitlines()
    assert len(lines) == len(settings_table()) + 2
    assert all(line.replace("\\|", "").count("|") == 5 for line in lines)


@pytest.mark.parametrize(
    ("path", "expected", "default"),
    [
        (("worker", "device"), "`auto`, `cpu`, `cuda` or `cuda:N`", "auto"),
        (("worker", "max_batch"), "integer >= 1 and <= 65536", 256),
        (("detect", "threshold", "quantile"), "number > 0.5 and < 1 or null", None),
        (("kafka", "sasl_password"), "text or null", None),
        (("logging", "format"), "`auto`, `json` or `console`", "auto"),
        (("http", "enabled"), "true or false", True),
        (("detector", "labels"), "mapping of text", {}),
    ],
)
def test_types_are_told_in_words(path: tuple[str, ...], expected: str, default: object) -> None:
    spec = field_specs()[path]
    assert (spec.expected, spec.default) == (expected, default)


def test_inherited_fields_keep_their_descriptions() -> None:
    """The input section extends the wire's format, whose docstrings stand in another class."""
    assert field_specs()[("input", "series_field")].description.startswith("Field (dotted path")


def test_secrets_are_known_as_secrets() -> None:
    secrets = {spec.name for spec in field_specs().values() if spec.is_secret}
    assert secrets == {
        "kafka.sasl_password",
        "kafka.sasl_oauthbearer_client_secret",
        "kafka.ssl_key_password",
        "registry.password",
        "registry.token",
        "forward.url",
        "forward.secret",
        "page.token",
    }


@pytest.mark.parametrize(
    "spec", [spec for spec in field_specs().values() if spec.path], ids=lambda spec: spec.name
)
def test_a_name_without_one_letter_is_understood(spec: FieldSpec) -> None:
    """The suggestion is the setting that was meant, except where names differ by that letter."""
    meant = nearest((*spec.path[:-1], spec.path[-1][:-1]))
    assert meant is not None
    assert meant.path == spec.path
