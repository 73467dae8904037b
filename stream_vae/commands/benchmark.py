"""`stream-vae benchmark`: the detectors on public data sets."""

import signal
from pathlib import Path
from typing import Annotated

import typer


def benchmark(
    names: Annotated[
        list[str],
        typer.Argument(
            help="smd, asd, skab, nab, ecg5000, smap-msl, adbench, digits, tsb-ad-m (machines of "
            "smd under the rule of TSB-AD-M), hdfs (sessions of log events), bgl (log lines in "
            "time buckets) or loghub (templates of log lines).",
            metavar="NAME...",
        ),
    ],
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="Folder with the set in its published layout, or with the folders smd, asd, skab, "
            "nab, ecg5000, smap_msl, adbench_tabular, hdfs, loghub_2k; digits needs none."
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How often to train, each anew.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="The first seed.")] = 0,
    file: Annotated[
        list[str] | None,
        typer.Option("--file", help="Only this part of the set; repeat for more."),
    ] = None,
    jobs: Annotated[
        int, typer.Option(min=1, help="Parts and seeds at a time, each in a process of its own.")
    ] = 1,
    each_file: Annotated[
        bool, typer.Option("--each-file", help="Print each part of the set too, after their mean.")
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Where to write every figure as JSON.")
    ] = None,
) -> None:
    """Train and judge on public data sets, beside baselines and the published table.

    Interrupted, it prints the tables of what is finished.

    Every method learns from the same windows and judges the same windows. Settings and cuts never
    depend on test labels, except where a column says so; nothing is point-adjusted.

    Example: stream-vae benchmark digits --seeds 3 --json digits.json
    """
    # One that is told to end prints what is finished too, as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    from stream_vae.commands.jobs.benchmark import BenchmarkRequest, run_benchmarks

    run_benchmarks(
        BenchmarkRequest(
            names=tuple(dict.fromkeys(names)),
            data_dir=data_dir,
            seeds=range(seed, seed + seeds),
            files=tuple(file or ()),
            processes=jobs,
            each_file=each_file,
            json_file=json_file,
        )
    )
