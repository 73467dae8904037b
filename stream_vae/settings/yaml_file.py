"""A YAML file with the line of each of its keys."""

from dataclasses import dataclass, field
from pathlib import Path as FilePath

import yaml

from stream_vae.settings.faults import Fault
from stream_vae.settings.fields import Path

_MERGE_KEY = "<<"


@dataclass(slots=True, kw_only=True)
class YamlFile:
    """What a file says; `faults` tells what it cannot mean."""

    content: object = None
    lines: dict[Path, int] = field(default_factory=dict)
    """1-based."""
    faults: list[Fault] = field(default_factory=list)


def read_yaml(file: FilePath) -> YamlFile:
    """Read a file; whatever is wrong with it comes back as faults with line and column."""
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as exc:
        return _failed(str(file), f"byte {exc.start} is not UTF-8, expected a text file")
    except OSError as exc:
        return _failed(str(file), f"cannot be read: {exc.strerror}; expected a YAML file")
    read = YamlFile()
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is not None:
            _note_keys(node, (), str(file), read)
            read.content = loader.construct_document(node)
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        place = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else str(file)
        return _failed(place, f"not YAML: {exc.problem or exc.context}")
    except yaml.YAMLError as exc:
        return _failed(str(file), f"not YAML: {' '.join(str(exc).split())}")
    except RecursionError:
        return _failed(str(file), "nested too deeply, or an alias refers to itself")
    return read


def _failed(where: str, text: str) -> YamlFile:
    return YamlFile(faults=[Fault(where=where, text=text)])


def _note_keys(node: yaml.Node, path: Path, file: str, read: YamlFile) -> None:
    if not isinstance(node, yaml.MappingNode):
        return
    first_lines: dict[str, int] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.value == _MERGE_KEY:
            continue
        line, column = key.start_mark.line + 1, key.start_mark.column + 1
        here = (*path, key.value)
        if key.value in first_lines:
            text = f"{'.'.join(here)} is given twice, first in line {first_lines[key.value]}"
            read.faults.append(Fault(where=f"{file}:{line}:{column}", text=text))
        first_lines.setdefault(key.value, line)
        read.lines[here] = line
        _note_keys(value, here, file, read)
