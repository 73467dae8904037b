"""Example data sets as CSV files."""

import csv
from pathlib import Path

from stream_vae.commands.jobs.terminal import open_console, styled
from stream_vae.edges.files.outputs import whole_file
from stream_vae.errors import ConfigError
from stream_vae.evaluate.examples import EXAMPLES, Row


def write_example(name: str, out: Path, seed: int) -> None:
    """Write train.csv and test.csv of an example, and print what to do with them."""
    if name not in EXAMPLES:
        raise ConfigError(f"example: found {name!r}, expected one of {sorted(EXAMPLES)}")
    made = EXAMPLES[name](seed)
    files = {
        "train.csv": [made.header, *made.train],
        "test.csv": [(*made.header, "label", "broken"), *made.test],
    }
    for file, rows in files.items():
        _write(out / file, rows)
    command = f"stream-vae train --input {out / 'train.csv'} --bundle {out / 'bundle'}"
    open_console().print(
        styled(
            f"{len(made.train):,} normal rows in {out / 'train.csv'}, {len(made.test):,} labelled "
            f"rows in {out / 'test.csv'}. Next: ",
            (f"{command} --config configs/recipes/{name}.yaml", "cyan"),
        ),
        soft_wrap=True,
    )


def _write(path: Path, rows: list[Row]) -> None:
    with whole_file(path) as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
