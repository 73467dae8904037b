"""`stream-vae backtest`: what a bundle is worth on labelled history."""

from pathlib import Path
from typing import Annotated

import typer

from stream_vae.commands.options import (
    ConfigOption,
    FileOptions,
    with_file_options,
)
from stream_vae.edges.files.csv_header import LABEL


@with_file_options
def backtest(
    *,
    bundle: Annotated[Path, typer.Option(help="Model bundle written by train.")],
    input_files: Annotated[
        list[Path], typer.Option("--input", help="CSV file of history; repeat for more files.")
    ],
    labels: Annotated[
        Path | None,
        typer.Option(help="CSV of labels, where the input has no column of them; see above."),
    ] = None,
    train_files: Annotated[
        list[Path] | None,
        typer.Option("--train", help="The model's training CSV, for the baselines; repeat."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for report.json and report.html.")
    ] = None,
    page: Annotated[
        bool, typer.Option("--html/--no-html", help="Write report.html, with pictures.")
    ] = True,
    label: Annotated[
        str, typer.Option(help="Column of 0 and 1 in the input: 1 is an anomaly, empty unknown.")
    ] = LABEL,
    point_adjusted: Annotated[
        bool, typer.Option("--point-adjusted", help="Add point-adjusted F1, which is inflated.")
    ] = False,
    replicates: Annotated[
        int, typer.Option("--bootstrap", min=0, max=10_000, help="Resamples; 0: no intervals.")
    ] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap and the baselines.")] = 0,
    injected_faults: Annotated[
        int,
        typer.Option(
            min=0, max=1000, help="Of each kind, feature and size, into normal readings; 0: none."
        ),
    ] = 10,
    config: ConfigOption = None,
    score_name: Annotated[
        str | None, typer.Option("--score", help="Overrides detect.score.")
    ] = None,
    files: FileOptions,
) -> None:
    """Measure a bundle on labelled history, beside baselines on the same windows.

    The daemon's own pipeline runs over the files. Its figures: precision, recall and F1 of
    readings at its own threshold, labelled spans found and missed, false incidents per series and
    week, detection delay; and how well its score ranks readings, beside PCA, the nearest training
    window, an isolation forest and z-scores. Then, as in the report of `train`, what it finds of
    faults injected into the normal readings.

    Labels are a column of the input, or a file of one of two forms: a column `label`, one row per
    reading in the same order; or columns `start`, `end` and optionally `series`, one row per
    anomalous span, everything else being normal.

    Baselines learn from the files of --train. Without it they learn from the readings before the
    first anomalous one, which then are not evaluated for any method.

    Example: stream-vae backtest --bundle bundle/ --input week.csv --train normal.csv --out report/
    """
    from stream_vae.commands.jobs.backtest import run_backtest
    from stream_vae.commands.jobs.backtest_request import BacktestRequest

    request = BacktestRequest(
        bundle=bundle,
        input_files=input_files,
        labels=labels,
        label_column=label,
        train_files=train_files or [],
        out=out,
        page=page,
        point_adjusted=point_adjusted,
        replicates=replicates,
        seed=seed,
        injected_faults=injected_faults,
        options=files,
    )
    run_backtest(request, {"detect.score": score_name}, config)
