"""The literature's table with our rows in it."""

from collections.abc import Sequence

import numpy as np
from rich.markup import escape
from rich.table import Table

from stream_vae.evaluate.data_sets.families import Family
from stream_vae.evaluate.data_sets.methods import MODEL
from stream_vae.evaluate.data_sets.summaries import Result


def benchmark_table(family: Family, results: Sequence[Result]) -> Table:
    """Return published rows first, then ours and the baselines of the same run.

    A cell is the mean over seeds of the figure over the files, with the standard deviation over
    seeds where there are several.
    """
    n_files = len({result.row.file for result in results})
    table = Table(title=f"{family.title}, {n_files} part(s)", title_justify="left")
    table.add_column("method")
    if family.by_part:
        table.add_column("part")
    for figure in family.figures:
        table.add_column(figure, justify="right")
    for row in family.published:
        cells = [_cell([row.figures[f]]) if f in row.figures else "" for f in family.figures]
        part = [row.part] if family.by_part else []
        table.add_row(f"{row.method} (published)", *part, *cells)
    if family.published:
        table.add_section()
    for (method, score, part_name), found in _grouped(family, results).items():
        by_seed = [family.summarise(of_seed) for of_seed in _by_seed(found)]
        cells = [_cell([one[f] for one in by_seed if f in one]) for f in family.figures]
        name = method if score == "usual" else f"{method}, {score}"
        part = [escape(part_name)] if family.by_part else []
        table.add_row(name, *part, *cells, style="bold" if method == MODEL else "")
    return table


def _grouped(family: Family, results: Sequence[Result]) -> dict[tuple[str, str, str], list[Result]]:
    groups: dict[tuple[str, str, str], list[Result]] = {}
    for result in results:
        part = result.row.file if family.by_part else ""
        groups.setdefault((result.row.method, result.row.score, part), []).append(result)
    return groups


def _by_seed(results: Sequence[Result]) -> list[list[Result]]:
    seeds = sorted({result.row.seed for result in results})
    return [[result for result in results if result.row.seed == seed] for seed in seeds]


def _cell(values: Sequence[float]) -> str:
    known = np.array([value for value in values if np.isfinite(value)])
    if not len(known):
        return ""
    digits = 1 if np.abs(known).max() > 1 else 4
    spread = f" ± {known.std():.{digits}f}" if len(known) > 1 else ""
    return f"{known.mean():.{digits}f}{spread}"
