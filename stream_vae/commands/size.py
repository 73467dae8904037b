"""`stream-vae size`: what a deployment takes, before it is there."""

from pathlib import Path
from typing import Annotated

import typer

from stream_vae.commands.options import ConfigOption, SecretsOption, refuse_not_finite


def size(
    *,
    series: Annotated[
        int, typer.Option(min=1, max=1_000_000_000, help="Series that send at the same time.")
    ],
    readings_per_second: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            max=1e9,
            callback=refuse_not_finite,
            help="Of all series together. Default: one a step of the model from each.",
        ),
    ] = None,
    partitions: Annotated[int, typer.Option(min=1, max=100_000, help="Of the input topic.")] = 6,
    replicas: Annotated[
        int | None,
        typer.Option(min=1, max=10_000, help="Instances. Default: as many as the rate needs."),
    ] = None,
    replication: Annotated[
        int, typer.Option(min=1, max=9, help="Copies of each partition of the state topic.")
    ] = 3,
    bundle: Annotated[
        Path | None,
        typer.Option(help="Trained model. Default: bundle.path of the settings, if it is there."),
    ] = None,
    features: Annotated[
        int | None,
        typer.Option(min=1, max=4096, help="Without a bundle: numeric features of a reading."),
    ] = None,
    window: Annotated[
        int | None,
        typer.Option(
            min=2, max=4096, help="Without a bundle: steps. Default: model.window_length."
        ),
    ] = None,
    step_seconds: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            max=31_622_400,
            callback=refuse_not_finite,
            help="Without a bundle: seconds between two readings of a series.",
        ),
    ] = None,
    measure: Annotated[
        float | None,
        typer.Option(
            min=0.5,
            max=600,
            callback=refuse_not_finite,
            metavar="SECONDS",
            help="Score windows for so long on this machine, instead of taking the stated "
            "figures; needs a bundle.",
        ),
    ] = None,
    config: ConfigOption = None,
    secrets_dir: SecretsOption = None,
) -> None:
    """Compute memory, cores, pods and state of a deployment from its settings and model.

    Memory follows the series, each of which keeps its last window (T steps x F features) and its
    last scores (detect.threshold.window, 5,000: most of it) from its first reading on. Cores follow
    the readings a second, whatever the number of series. Instances share the input's partitions, so
    there are at most as many as these; a series belongs to one partition. State is saved in a
    compacted topic, whose size follows the series too, and is read where an instance starts.

    An instance is given half of what it can do at most, and memory for the partitions of one that
    is lost: less makes every restart a backlog. Nothing is started or contacted.

    The figures go to stderr, and values for the Helm chart to stdout, so that they can be kept:

    Example: stream-vae size --series 20000 --features 8 --step-seconds 60 --partitions 12

    Example: stream-vae size -c stream-vae.yaml --series 5000 --measure 10 > size.yaml
    """
    from stream_vae.commands.jobs.size import Assumed, print_size
    from stream_vae.commands.jobs.sizing import Stream

    print_size(
        Stream(
            n_series=series,
            readings_per_second=readings_per_second or 0.0,
            n_partitions=partitions,
            replication=replication,
        ),
        Assumed(n_features=features, window_length=window, step_seconds=step_seconds),
        bundle,
        config,
        secrets_dir,
        replicas=replicas,
        measure_s=measure,
    )
