"""`stream-vae redrive`: moves dead letters and late readings back to their input topic."""

from typing import Annotated, Literal

import typer

from stream_vae.commands.options import ConfigOption, SecretsOption

_LARGEST_PARTITION = 2**31 - 1
_LARGEST_OFFSET = 2**63 - 1


def redrive(
    *,
    source: Annotated[
        Literal["dead-letters", "late"],
        typer.Option("--from", help="Which topic: output.dead_letter_topic or output.late_topic."),
    ] = "dead-letters",
    reason: Annotated[
        list[str] | None, typer.Option(help="Only records of this dlq.reason; repeat for more.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Only records rejected at or after this time (RFC 3339).")
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="Only records rejected before this time (RFC 3339).")
    ] = None,
    partition: Annotated[
        list[int] | None,
        typer.Option(
            min=0,
            max=_LARGEST_PARTITION,
            help="Only records of this partition of the topic; repeat for more.",
        ),
    ] = None,
    from_offset: Annotated[
        int | None,
        typer.Option(
            min=0, max=_LARGEST_OFFSET, help="First offset, in the one --partition given."
        ),
    ] = None,
    to_offset: Annotated[
        int | None,
        typer.Option(min=0, max=_LARGEST_OFFSET, help="Last offset, in the one --partition given."),
    ] = None,
    source_topic: Annotated[
        str | None, typer.Option(help="Only records that came from this topic.")
    ] = None,
    to: Annotated[
        str | None, typer.Option(help="Topic to move to; unset, where each record came from.")
    ] = None,
    execute: Annotated[
        bool, typer.Option("--execute", help="Move them. Without it nothing is changed.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Move what earlier runs moved, too.")
    ] = False,
    bootstrap: Annotated[
        str | None,
        typer.Option(help="host:port of some brokers; overrides kafka.bootstrap_servers."),
    ] = None,
    config: ConfigOption = None,
    secrets_dir: SecretsOption = None,
) -> None:
    """Move dead letters or late readings back to their topic; a dry run at first.

    Nothing is changed without --execute.

    The topic is read up to where it ended at the start. Each record goes to the topic and partition
    it came from, key, value and headers as they were, with a header `dlq.redriven` that counts its
    redrives. Order is kept within a partition. Late readings are late again, unless the daemon that
    reads them has not come so far. Nothing is removed from the topic.

    Each record is moved once: what was moved is remembered, in the same transaction, with the
    offsets of the group `GROUP.redrive`. A second run, with the same or another choice, moves only
    what none has moved yet; so does a run after a crash. `--again` moves them once more. Brokers
    forget the offsets of an idle group after a week (`offsets.retention.minutes`).

    Example: stream-vae redrive --config sensors.yaml --reason timestamp_in_future

    Example: stream-vae redrive --config sensors.yaml --reason timestamp_in_future --execute
    """
    from stream_vae.commands.jobs.redrive import move_records

    move_records(
        {"kafka.bootstrap_servers": bootstrap},
        config,
        secrets_dir,
        source=source,
        reason=reason or [],
        since=since,
        until=until,
        partition=partition or [],
        from_offset=from_offset,
        to_offset=to_offset,
        source_topic=source_topic,
        to=to,
        execute=execute,
        again=again,
    )
