"""Loghub's samples: 2,000 lines of each system, and which lines are of one event by hand.

`SYSTEM/SYSTEM_2k.log_structured.csv` has a line's text as `Content` and its event as `EventId`.
"""

import csv
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stream_vae.errors import InputFileError
from stream_vae.evaluate.data_sets.folder import DataFolder, find_files, read_text
from stream_vae.logs.templates import TemplateConfig, Templates, mine

NAME = "loghub"
FOLDER = "loghub_2k"
"""Name that the folder usually has."""
TITLE = "Loghub, 2,000 lines a system"

PUBLISHED: Mapping[str, float] = {
    "Android": 0.911,
    "Apache": 1.0,
    "BGL": 0.963,
    "HDFS": 0.998,
    "HPC": 0.887,
    "Hadoop": 0.948,
    "HealthApp": 0.780,
    "Linux": 0.690,
    "Mac": 0.787,
    "OpenSSH": 0.788,
    "OpenStack": 0.733,
    "Proxifier": 0.527,
    "Spark": 0.920,
    "Thunderbird": 0.955,
    "Windows": 0.997,
    "Zookeeper": 0.967,
}
"""System -> grouping accuracy of Drain with settings and masks of that system's own: Zhu et al.
(2019), Tools and Benchmarks for Automated Log Parsing, ICSE-SEIP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """How the lines of a system were grouped."""

    system: str
    grouping_accuracy: float
    templates: int
    events: int
    """By hand."""


def load_loghub(folder: DataFolder) -> dict[str, str]:
    """Return the file of each system.

    Raises:
        ConfigError: If there is none.
    """
    return find_files(
        folder,
        r"(?:.*/)?([^/]+)_2k\.log_structured\.csv",
        layout="SYSTEM/SYSTEM_2k.log_structured.csv",
    )


def parse_system(folder: DataFolder, system: str, name: str) -> Parsed:
    """Mine a system's lines with the settings of every system, and match them again.

    Raises:
        InputFileError: If the file is not as published.
    """
    rows = csv.DictReader(io.StringIO(read_text(folder, name)))
    try:
        found = [(row["Content"], row["EventId"]) for row in rows]
    except KeyError as exc:
        raise InputFileError(
            f"{folder.place}/{name}: found columns {rows.fieldnames}, expected {exc} among them"
        ) from None
    lines, events = [line for line, _ in found], [event for _, event in found]
    logs = mine(lines, TemplateConfig(kept=max(1, len(lines))))
    return Parsed(
        system=system,
        grouping_accuracy=grouping_accuracy(events, Templates(logs).match(lines).tolist()),
        templates=len(logs.templates),
        events=len(set(events)),
    )


def grouping_accuracy(truth: Sequence[object], found: Sequence[object]) -> float:
    """Return the share of lines whose group is exactly one of the true groups.

    >>> grouping_accuracy("aaabbc", [1, 1, 1, 2, 2, 2])
    0.5
    """
    true_groups = set(_groups(truth))
    right = sum(len(group) for group in _groups(found) if group in true_groups)
    return right / len(truth) if truth else 1.0


def _groups(names: Sequence[object]) -> list[tuple[int, ...]]:
    places: defaultdict[object, list[int]] = defaultdict(list)
    for place, name in enumerate(names):
        places[name].append(place)
    return [tuple(group) for group in places.values()]
