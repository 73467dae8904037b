"""`stream-vae demo`: training, streaming and alerts on an embedded broker and real data."""

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[
        Path, typer.Option(help="Folder for alerts, scores, picture, bundle and log.")
    ] = Path("stream-vae-demo"),
) -> None:
    """Run the whole job on an embedded broker and real data, in half a minute.

    The data is the hourly flow of a water pipeline branch over two months, with three low-flow
    events and one pumping peak (it ships with the river library). The demo trains on a clean
    stretch, starts the daemon that `stream-vae run` starts, streams the rest through Kafka topics
    and consumes the alerts as any consumer would. The broker is librdkafka's mock cluster, which is
    not Kafka: it proves nothing about delivery.

    Example: stream-vae demo --out /tmp/demo
    """
    from stream_vae.commands.jobs.demo import run_demo

    run_demo(out)
