"""Templates of log lines against those found by hand: the table, the rows."""

from collections.abc import Sequence

import numpy as np
from rich.console import Console
from rich.table import Table

from stream_vae.errors import ConfigError
from stream_vae.evaluate.data_sets.folder import DataFolder
from stream_vae.evaluate.data_sets.loghub import (
    NAME,
    PUBLISHED,
    TITLE,
    Parsed,
    load_loghub,
    parse_system,
)
from stream_vae.evaluate.data_sets.methods import MODEL
from stream_vae.evaluate.data_sets.summaries import BenchmarkRow

_RULE = (
    "grouping_accuracy: share of lines whose group is exactly one of the groups by hand; one "
    "setting for all systems, that of training; nothing is drawn, so seeds do not count",
    "published: Drain with settings and masks of each system's own, Zhu et al. (2019)",
)


def run_loghub(folder: DataFolder, systems: Sequence[str], console: Console) -> list[BenchmarkRow]:
    """Mine each system's lines, print the table, and return the rows.

    Args:
        folder: Of the data set.
        systems: Those to run; empty for all.
        console: Where to print.

    Raises:
        ConfigError: If a system is not in the folder.
        InputFileError: If a file is not as published.
    """
    files = load_loghub(folder)
    unknown = [system for system in systems if system not in files]
    if unknown:
        raise ConfigError(f"--file {unknown[0]!r}: not in the set, expected one of {list(files)}")
    found = [parse_system(folder, system, files[system]) for system in systems or files]
    console.print(_table(found, n_systems=len(files)))
    for line in _RULE:
        console.print(f"{line}.", highlight=False)
    return [_row(one) for one in found]


def _table(found: Sequence[Parsed], *, n_systems: int) -> Table:
    table = Table(title=f"{TITLE}, {len(found)} of {n_systems} systems", title_justify="left")
    table.add_column("system")
    for name in ("grouping_accuracy", "templates", "by hand", "published"):
        table.add_column(name, justify="right")
    for one in found:
        published = PUBLISHED.get(one.system)
        table.add_row(
            one.system,
            f"{one.grouping_accuracy:.3f}",
            f"{one.templates}",
            f"{one.events}",
            "" if published is None else f"{published:.3f}",
        )
    table.add_section()
    known = [PUBLISHED[one.system] for one in found if one.system in PUBLISHED]
    table.add_row(
        "mean",
        f"{np.mean([one.grouping_accuracy for one in found]):.4f}",
        "",
        "",
        f"{np.mean(known):.4f}" if len(known) == len(found) else "",
        style="bold",
    )
    return table


def _row(one: Parsed) -> BenchmarkRow:
    metrics = {
        "grouping_accuracy": one.grouping_accuracy,
        "templates": float(one.templates),
        "events": float(one.events),
    }
    return BenchmarkRow(
        data=NAME, file=one.system, method=MODEL, score="templates", seed=0, metrics=metrics
    )
