"""`stream-vae demo`: training, streaming and alerts on an embedded broker and real data."""

import signal
from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[
        Path, typer.Option(help="Folder for alerts, scores, picture, bundle and log.")
    ] = Path("stream-vae-demo"),
    logs: Annotated[
        bool,
        typer.Option("--logs", help="Lines of a log instead of readings; takes three minutes."),
    ] = False,
    page: Annotated[
        bool,
        typer.Option("--page", help="Serve the live page, to be watched; ends with Ctrl-C."),
    ] = False,
) -> None:
    """Run the whole job on an embedded broker and real data, in half a minute.

    The data is the hourly flow of a water pipeline branch over two months, with three low-flow
    events and one pumping peak (it ships with the river library). The demo trains on a clean
    stretch, starts the daemon that `stream-vae run` starts, streams the rest through Kafka topics
    and consumes the alerts as any consumer would. The broker is librdkafka's mock cluster, which is
    not Kafka: it proves nothing about delivery.

    With --logs the data is made as you watch: three instances of a service, Kafka clients with
    the debug log of librdkafka on, work on a broker of their own. A minute of their lines trains a
    model. Then their broker is slowed, taken down, and brought back, while the daemon reads the
    lines from another broker and tells which lines are missing, too many, or were never seen. The
    closing table holds what was found against what was done.

    With --page the daemon serves its live page, and the readings come slowly enough to watch the
    first incident open.

    Example: stream-vae demo --out /tmp/demo

    Example: stream-vae demo --page

    Example: stream-vae demo --logs --out /tmp/demo-logs
    """
    # Asked to end, or its terminal closed, it stops what it has started, as after Ctrl-C. Under
    # nohup it goes on.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    typer.echo("Loading what trains the model…")
    from stream_vae.commands.jobs.demo import run_demo
    from stream_vae.commands.jobs.log_demo import run_log_demo

    try:
        (run_log_demo if logs else run_demo)(out, page=page)
    except KeyboardInterrupt:
        if not page:
            raise
        typer.echo("\nEnded before everything was streamed.")
