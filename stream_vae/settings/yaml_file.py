"""A YAML file that knows the line of each of its keys."""

from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any

import yaml
from pydantic_settings import YamlConfigSettingsSource

from stream_vae.settings.fields import Path, field_specs
from stream_vae.settings.model import Settings
from stream_vae.settings.setting_errors import SettingError, UnreadableError

MAX_BYTES = 65_536
MAX_NODES = 10_000
"""Keys and values, those behind an alias counted each time it stands there."""
MAX_DEPTH = 20
MAX_SCALAR_CHARACTERS = 16_384

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
            errors = list(self._misread(_read(file)))
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
        _check_extent(node)
        if isinstance(node, yaml.MappingNode):
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


def _read(file: FilePath) -> str:
    """Return a file's text.

    Raises:
        ValueError: If it has no end, or is too long to be a configuration.
    """
    if file.exists() and not (file.is_file() or file.is_dir()):
        raise _NotMeantError("is a pipe or a device, expected a file")
    with file.open("rb") as opened:
        content = opened.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise _NotMeantError(f"found more than {MAX_BYTES:,} bytes, expected a YAML file of fewer")
    return content.decode()


class _NotMeantError(ValueError):
    """What no configuration needs, and what would take long or crash what comes after."""


def _check_extent(root: yaml.Node | None) -> None:
    """Refuse what aliases blow up, before anybody follows them.

    Raises:
        ValueError: Says what is too much.
    """
    left = [(root, 1)]
    n = 1
    while left:
        node, depth = left.pop()
        children: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            children = [each for pair in node.value for each in pair]
        elif isinstance(node, yaml.SequenceNode):
            children = node.value
        elif isinstance(node, yaml.ScalarNode):
            _check_text(node)
        n += len(children)
        if n > MAX_NODES:
            raise _NotMeantError(
                f"found more than {MAX_NODES:,} keys and values, aliases followed; expected fewer"
            )
        if depth > MAX_DEPTH:
            raise RecursionError
        left += [(child, depth + 1) for child in children]


def _check_text(node: yaml.ScalarNode) -> None:
    """Refuse a text that nothing can be called, or that is too long to be read as a number.

    Raises:
        ValueError: Says what was found.
    """
    text, line = node.value, node.start_mark.line + 1
    if len(text) > MAX_SCALAR_CHARACTERS:
        raise _NotMeantError(
            f"found a text of {len(text):,} characters in line {line}, expected at most "
            f"{MAX_SCALAR_CHARACTERS:,}"
        )
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise _NotMeantError(
            f"found an escaped NUL or surrogate in line {line}, expected text without"
        )


def _setting_error(file: FilePath, exc: Exception) -> SettingError:
    where = str(file)
    match exc:
        case UnicodeDecodeError():
            text = f"byte {exc.start} is not UTF-8, expected a text file"
        case OSError():
            text = f"cannot be read: {exc.strerror}; expected a YAML file"
        case RecursionError():
            text = "nested too deeply, or an alias refers to itself"
        case _NotMeantError():
            text = str(exc)
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
