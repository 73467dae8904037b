"""A YAML file that knows the line of each of its keys."""

from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any

import yaml
from pydantic_settings import YamlConfigSettingsSource

from stream_vae.settings.fields import Path, field_specs
from stream_vae.settings.model import Settings
from stream_vae.settings.setting_errors import SettingError, UnreadableError

_MERGE_TAG = "tag:yaml.org,2002:merge"
_TEXT_TAG = "tag:yaml.org,2002:str"
_NULL_TAG = "tag:yaml.org,2002:null"


class YamlSource(YamlConfigSettingsSource):
    """What a YAML file gives.

    Raises:
        UnreadableError: If the file cannot be read, or is no YAML that can be meant; with line and
            column.
    """

    def __init__(self, file: FilePath | str) -> None:
        file = FilePath(file)
        self._file = file
        self._lines: dict[Path, int] = {}
        try:
            errors = list(self._misread(file.read_text(encoding="utf-8")))
            if not errors:
                super().__init__(Settings, file)
        except (OSError, ValueError, yaml.YAMLError, RecursionError) as exc:
            errors = [_setting_error(file, exc)]
        if errors:
            raise UnreadableError(*errors)

    def __call__(self) -> dict[str, Any]:
        """Return what is given; sections with every line commented out are not."""
        return _without_empty_sections(super().__call__(), ())

    def origin(self, path: Path) -> str:
        """Return `FILE:LINE`."""
        return f"{self._file}:{self._lines[path]}" if path in self._lines else str(self._file)

    def _misread(self, text: str) -> Iterator[SettingError]:
        """Keep the line of each key; yield what the library would fail on, or pass over."""
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if not self._file.is_file():
            yield SettingError(where=str(self._file), text="is a pipe or a device, expected a file")
        elif isinstance(node, yaml.MappingNode):
            yield from self._note_keys(node, ())
        elif node is not None and node.tag != _NULL_TAG:
            yield SettingError(where=str(self._file), text="expected a mapping of settings")

    def _note_keys(self, node: yaml.Node, path: Path) -> Iterator[SettingError]:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        names: set[str] = set()
        for key, value in pairs:
            if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE_TAG:
                continue
            here = (*path, key.value)
            line = key.start_mark.line + 1
            if key.tag != _TEXT_TAG:
                text = f"found the name {key.value}, expected text (put it in quotes)"
                yield SettingError(where=".".join(path), source=f"{self._file}:{line}", text=text)
            if key.value in names:
                place = f"{self._file}:{line}:{key.start_mark.column + 1}"
                text = f"{'.'.join(here)} is given twice, first in line {self._lines[here]}"
                yield SettingError(where=place, text=text)
            names.add(key.value)
            self._lines.setdefault(here, line)
            yield from self._note_keys(value, here)


def _setting_error(file: FilePath, exc: Exception) -> SettingError:
    where = str(file)
    match exc:
        case UnicodeDecodeError():
            text = f"byte {exc.start} is not UTF-8, expected a text file"
        case OSError():
            text = f"cannot be read: {exc.strerror}; expected a YAML file"
        case RecursionError():
            text = "nested too deeply, or an alias refers to itself"
        case yaml.MarkedYAMLError(problem_mark=yaml.Mark() as mark):
            where = f"{file}:{mark.line + 1}:{mark.column + 1}"
            text = f"not YAML: {exc.problem}"
        case _:
            text = f"not YAML: {' '.join(str(exc).split())}"
    return SettingError(where=where, text=text)


def _without_empty_sections(values: dict[str, Any], path: Path) -> dict[str, Any]:
    kept = {}
    for name, value in values.items():
        here = (*path, name)
        spec = field_specs().get(here)
        if value is None and spec is not None and spec.kind != "value":
            continue
        kept[name] = _without_empty_sections(value, here) if isinstance(value, dict) else value
    return kept
