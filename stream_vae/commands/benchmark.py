"""`stream-vae benchmark`: the detectors on a public data set."""

from pathlib import Path
from typing import Annotated

import typer


def benchmark(
    name: Annotated[
        str,
        typer.Argument(
            help="smd, asd, skab, nab, ecg5000, smap-msl, adbench or digits.", metavar="NAME"
        ),
    ],
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Folder with the set in its published layout; digits needs none."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How often to train, each anew.")] = 1,
    file: Annotated[
        list[str] | None,
        typer.Option("--file", help="Only this part of the set; repeat for more."),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Where to write every figure as JSON.")
    ] = None,
) -> None:
    """Train and judge on a public data set, beside baselines and the published table.

    Every method learns from the same windows and judges the same windows. Settings and cuts never
    depend on test labels, except where a column says so; nothing is point-adjusted.

    Example: stream-vae benchmark digits --seeds 3 --json digits.json
    """
    from stream_vae.commands.jobs.benchmark import benchmark_data

    benchmark_data(name, data_dir, seeds=seeds, files=file or [], json_file=json_file)
