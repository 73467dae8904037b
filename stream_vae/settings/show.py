"""The effective settings as text, each with its origin."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from stream_vae.settings.fields import Path, field_specs
from stream_vae.settings.load import LoadedSettings


def to_yaml(loaded: LoadedSettings) -> str:
    """Return YAML that can be loaded again, with the origin as a comment on each line."""
    lines = list(_lines(loaded.masked(), (), loaded.origins))
    width = max(len(text) for text, _ in lines)
    return "\n".join(f"{text:<{width}}  # {origin}" if origin else text for text, origin in lines)


def to_json(loaded: LoadedSettings) -> str:
    """Return `{"settings": …, "origins": …}`."""
    content = {"settings": loaded.masked(), "origins": dict(loaded.origins)}
    return json.dumps(content, indent=2, ensure_ascii=False)


def _lines(
    values: Mapping[str, Any], path: Path, origins: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    indent = "  " * len(path)
    for name, value in values.items():
        here = (*path, name)
        origin = origins.get(".".join(here), "")
        spec = field_specs().get(here)
        if isinstance(value, dict) and value and spec is not None:
            yield f"{indent}{_scalar(name)}:", ""
            yield from _lines(value, here, origins)
        else:
            yield f"{indent}{_scalar(name)}: {_scalar(value)}", origin


def _scalar(value: object) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=float("inf"))
    text = text.removesuffix("\n").removesuffix("\n...")
    # JSON is valid YAML, and keeps text with line breaks on one line.
    return text if "\n" not in text else json.dumps(value)
