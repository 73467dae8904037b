"""Trials with injected faults as tables."""

from collections.abc import Iterator

from rich.table import Table

from stream_vae.evaluate.fault_words import (
    METHOD_TITLES,
    method_cells,
    sizes_title,
    smallest_of,
    verdicts,
)
from stream_vae.models.provenance import FaultTrials


def fault_tables(trials: FaultTrials, *, is_apart: bool = False) -> Iterator[Table]:
    """Yield the answer in words, and the sizes and methods that it comes from; see `verdicts`."""
    words = Table(title="Is it any good?", show_header=False, title_justify="left")
    for what, text in verdicts(trials, is_apart=is_apart):
        words.add_row(what, text)
    yield words
    if not trials.sizes:
        return
    kinds, rows = smallest_of(trials)
    sizes = Table("feature", *kinds, title=sizes_title(trials), title_justify="left")
    for feature, found in rows:
        sizes.add_row(feature, *found)
    yield sizes
    methods = Table(title="On the same faults of mixed kinds and sizes", title_justify="left")
    for title in METHOD_TITLES:
        methods.add_column(title, justify="left" if title == METHOD_TITLES[0] else "right")
    for cells in method_cells(trials):
        methods.add_row(*cells)
    yield methods
