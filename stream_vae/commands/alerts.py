"""`stream-vae alerts`: an alert consumer for the terminal and for pipes."""

from typing import Annotated, Literal

import typer

from stream_vae.commands.options import ConfigOption, SecretsOption

_HELP = """Print the alert events of a topic, one line each.

Only committed events are read and each (incident, sequence) is shown once. Records that are not
alert events are counted, the first ten reported on stderr. TLS and passwords come from the
configuration, as for `run`. Events go to stdout, all else to stderr, so they can be piped.

Example: stream-vae alerts --bootstrap localhost:9092 --topic stream-vae.alerts --follow

Example: stream-vae alerts --json | jq 'select(.severity == "critical").series.key'
"""

app = typer.Typer(
    name="alerts",
    help=_HELP,
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)


@app.callback()
def alerts(
    context: typer.Context,
    *,
    bootstrap: Annotated[
        str | None,
        typer.Option(help="host:port of some brokers; overrides kafka.bootstrap_servers."),
    ] = None,
    topic: Annotated[
        str | None, typer.Option(help="The alerts topic; overrides output.alerts_topic.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C instead of ending.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print each event as it stands, one JSON object a line.")
    ] = False,
    from_beginning: Annotated[
        bool,
        typer.Option(
            "--from-beginning/--new",
            help="Begin with the oldest event kept, or with the next one published (follows).",
        ),
    ] = True,
    config: ConfigOption = None,
    secrets_dir: SecretsOption = None,
) -> None:
    """Print them, unless a command follows."""
    if context.invoked_subcommand is not None:
        return
    from stream_vae.commands.jobs.alerts import print_alerts

    print_alerts(
        {"kafka.bootstrap_servers": bootstrap, "output.alerts_topic": topic},
        config,
        secrets_dir,
        follow=follow or not from_beginning,
        from_beginning=from_beginning,
        as_json=as_json,
    )


@app.command()
def schema(
    of: Annotated[
        Literal["alerts", "scores"], typer.Option(help="Of which topic's records.")
    ] = "alerts",
) -> None:
    """Print the JSON Schema of alert events, or of the scores of single readings."""
    import json

    from stream_vae.wire.alerts import alert_schema
    from stream_vae.wire.scores import score_schema

    content = alert_schema() if of == "alerts" else score_schema()
    typer.echo(json.dumps(content, indent=2, ensure_ascii=False))
