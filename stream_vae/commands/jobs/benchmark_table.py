"""The literature's table with our rows in it."""

from collections.abc import Iterable, Sequence

import numpy as np
from rich.table import Table

from stream_vae.evaluate.data_sets.families import Family, Published
from stream_vae.evaluate.data_sets.methods import MODEL
from stream_vae.evaluate.data_sets.paired import FEW_FILES, PairedDifference
from stream_vae.evaluate.data_sets.summaries import Result

_Figures = dict[str, list[float]]
"""Figure -> its values, one a seed."""


def benchmark_table(
    family: Family,
    published: Sequence[Published],
    results: Sequence[Result],
    *,
    n_parts: int,
    each_file: bool = False,
) -> Table:
    """Return published rows first, then ours and the baselines of the same run.

    A cell is the mean over seeds of the figure over the files, with the standard deviation over
    seeds where there are several. Seeds that lack a file which others have are left out.

    Args:
        family: The data set.
        published: Rows of the literature.
        results: Of this run.
        n_parts: How many parts the run was to have, for the title.
        each_file: Whether each file has rows of its own.
    """
    by_part = family.by_part or each_file
    files = list(dict.fromkeys(result.row.file for result in results))
    table = Table(title=f"{family.title}, {len(files)} of {n_parts} parts", title_justify="left")
    table.add_column("method")
    if by_part:
        table.add_column("part")
    for figure in family.figures:
        table.add_column(figure, justify="right")
    for (method, part), figures in _literature(published, files, by_part=by_part):
        cells = (_cell(figures.get(figure, ())) for figure in family.figures)
        table.add_row(method, *([part] if by_part else []), *cells)
    table.add_section()
    for (method, part), figures in _found(family, results, by_part=by_part):
        cells = (_cell(figures.get(figure, ())) for figure in family.figures)
        style = "bold" if method.startswith(MODEL) else ""
        table.add_row(method, *([part] if by_part else []), *cells, style=style)
    return table


def difference_table(family: Family, differences: Sequence[PairedDifference]) -> Table:
    """Return by how much our first score is better than each other method of the same run.

    Args:
        family: The data set.
        differences: At least one.
    """
    first = differences[0]
    table = Table(
        title=f"{family.title}: {first.figure} of {first.reference}, less that of",
        title_justify="left",
    )
    table.add_column("method")
    table.add_column("difference", justify="right")
    table.add_column("95 %", justify="center")
    table.add_column("files", justify="right")
    for one in differences:
        name = one.method if one.score == "usual" else f"{one.method}, {one.score}"
        interval = "" if one.interval is None else "{:+.4f} to {:+.4f}".format(*one.interval)
        table.add_row(name, f"{one.mean:+.4f}", interval, str(one.files))
    return table


def difference_words(differences: Sequence[PairedDifference]) -> str:
    """Return how the intervals come about."""
    words = "differences: mean over files; 95 %: paired bootstrap over files, percentiles"
    if min(one.files for one in differences) < FEW_FILES:
        words += f"; of fewer than {FEW_FILES} files intervals are too narrow"
    return words


def _literature(
    published: Sequence[Published], files: Sequence[str], *, by_part: bool
) -> Iterable[tuple[tuple[str, str], _Figures]]:
    """Return published rows; those of single files as their mean where files have no rows."""
    groups: dict[tuple[str, str], list[Published]] = {}
    for row in published:
        if not row.part or row.part in files:
            where = f"published, {row.rule}" if row.rule else "published"
            key = f"{row.method} ({where})", row.part if by_part else ""
            groups.setdefault(key, []).append(row)
    for key, rows in groups.items():
        names = dict.fromkeys(name for row in rows for name in row.figures)
        yield (
            key,
            {
                name: [float(np.mean([row.figures[name] for row in rows if name in row.figures]))]
                for name in names
            },
        )


def _found(
    family: Family, results: Sequence[Result], *, by_part: bool
) -> Iterable[tuple[tuple[str, str], _Figures]]:
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        row = result.row
        name = row.method if row.score == "usual" else f"{row.method}, {row.score}"
        groups.setdefault((name, row.file if by_part else ""), []).append(result)
    places = list(dict.fromkeys(part for _, part in groups))
    for key, rows in sorted(groups.items(), key=lambda item: places.index(item[0][1])):
        by_seed = [family.summarise(of_seed) for of_seed in _by_seed(rows)]
        yield key, {name: [one[name] for one in by_seed if name in one] for name in family.figures}


def _by_seed(results: Sequence[Result]) -> list[list[Result]]:
    """Return the results of each seed that has as many files as any."""
    seeds: dict[int, list[Result]] = {}
    for result in results:
        seeds.setdefault(result.row.seed, []).append(result)
    most = max(len(found) for found in seeds.values())
    return [found for _, found in sorted(seeds.items()) if len(found) == most]


def _cell(values: Sequence[float]) -> str:
    known = np.array([value for value in values if np.isfinite(value)])
    if not len(known):
        return ""
    digits = 1 if np.abs(known).max() > 1 else 4
    spread = f" ± {known.std(ddof=1):.{digits}f}" if len(known) > 1 else ""
    return f"{known.mean():.{digits}f}{spread}"
