"""Dead letters and late readings, moved back to where they came from."""

import re
import shlex
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Literal

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeElapsedColumn

from stream_vae.commands.jobs.broker_notices import BrokerNotices
from stream_vae.commands.jobs.redrive_plan import RedrivePlan
from stream_vae.commands.jobs.terminal import TaskText, open_console
from stream_vae.core.records import OutputRecord
from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.produce.redriver import Redriver
from stream_vae.edges.kafka.read.topic_reader import read_topic
from stream_vae.errors import ConfigError, DecodeError, StreamVaeError
from stream_vae.inputs.timestamps import TimestampParser
from stream_vae.settings import load_settings
from stream_vae.settings.model import TOPIC_PATTERN
from stream_vae.wire.redrive_history import RedriveHistory, Selection
from stream_vae.wire.rejections import FORWARD_REASONS, REASONS

_BATCH_RECORDS = 1_000
_BATCH_BYTES = 8 * 1024 * 1024
"""Of one transaction: seconds of work, well within its timeout."""

_RECORDS_BETWEEN_LOOKS = 200
_NS_PER_MS = 1_000_000


def move_records(
    flags: Mapping[str, object],
    config: Path | None,
    secrets_dir: Path | None,
    *,
    source: Literal["dead-letters", "late"],
    reason: list[str],
    since: str | None,
    until: str | None,
    partition: list[int],
    from_offset: int | None,
    to_offset: int | None,
    source_topic: str | None,
    to: str | None,
    execute: bool,
    again: bool,
) -> None:
    """Move what the flags select, or only say what would be moved."""
    settings = load_settings(config=config, overrides=flags, secrets_dir=secrets_dir).settings
    output = settings.output
    topic = output.dead_letter_topic if source == "dead-letters" else output.late_topic
    if to == topic:
        msg = f"--to: found {to!r}, the topic the records are in; expected another"
        raise ConfigError(msg)
    offsets = (from_offset, to_offset)
    if offsets != (None, None) and len(partition) != 1:
        raise ConfigError("--from-offset, --to-offset: expected one --partition with them")
    _check_topics(("--to", to), ("--source-topic", source_topic))
    selection = Selection(
        reasons=_reasons(reason),
        since_ms=_milliseconds("--since", since),
        until_ms=_milliseconds("--until", until),
        from_offset=from_offset,
        to_offset=to_offset,
        source_topic=source_topic,
    )
    _check_order(selection)
    notices = BrokerNotices(
        open_console(stderr=True, soft_wrap=True), settings.kafka.bootstrap_servers
    )
    with closing(Redriver(settings.kafka, topic, notices)) as redriver:
        if execute:
            redriver.claim()
        histories = redriver.histories()
        plan = RedrivePlan(
            selection,
            histories,
            partitions=frozenset(partition),
            to=to,
            again=again,
            n_partitions=redriver.n_partitions,
        )
        mover = _Mover(redriver, histories, selection) if execute else None
        try:
            _go_over(settings.kafka, topic, plan, mover, notices)
        except (StreamVaeError, KeyboardInterrupt):
            if mover is not None:
                typer.echo(f"{mover.n_moved:,} records moved; run it again to go on", err=True)
            raise
    _report(plan, mover)


class _Mover:
    """Collects records and moves them, one transaction at a time."""

    def __init__(
        self, redriver: Redriver, histories: dict[int, RedriveHistory], selection: Selection
    ) -> None:
        self._redriver = redriver
        self._histories = histories
        self._selection = selection
        self._records: list[OutputRecord] = []
        self._ends: dict[int, int] = {}
        self._n_bytes = 0
        self.n_moved = 0

    def add(self, record: OutputRecord, offset: int) -> None:
        """Add a record at an offset of its partition."""
        self._records.append(record)
        self._ends[record.partition] = offset + 1
        self._n_bytes += len(record.key or b"") + len(record.value or b"")
        if len(self._records) >= _BATCH_RECORDS or self._n_bytes >= _BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Move the collected records."""
        if not self._records:
            return
        histories = {
            partition: self._histories.get(partition, RedriveHistory()).after(self._selection, end)
            for partition, end in self._ends.items()
        }
        self._redriver.move(self._records, self._ends, histories)
        self._histories |= histories
        self.n_moved += len(self._records)
        self._records, self._ends, self._n_bytes = [], {}, 0


def _go_over(
    config: KafkaConfig, topic: str, plan: RedrivePlan, mover: _Mover | None, notices: BrokerNotices
) -> None:
    with _progress() as bar:
        task = bar.add_task("looking" if mover is None else "moving", total=None)
        records = read_topic(
            config,
            topic,
            notices,
            follow=False,
            on_start=lambda total: bar.update(task, total=total),
        )
        for n, record in enumerate(records):
            wanted = plan.look(record)
            if wanted is not None and mover is not None:
                mover.add(wanted, record.offset)
            if n % _RECORDS_BETWEEN_LOOKS == 0:
                bar.update(task, completed=n)
        if mover is not None:
            mover.flush()


def _report(plan: RedrivePlan, mover: _Mover | None) -> None:
    console = open_console(soft_wrap=True)
    if mover is None:
        for line in plan.lines():
            console.print(line, highlight=False)
    if left := plan.left_alone():
        console.print("left alone: " + "; ".join(left), highlight=False)
    if mover is not None:
        summary = f"{mover.n_moved:,} records moved"
    elif plan.n_selected:
        command = shlex.join(["stream-vae", *sys.argv[1:], "--execute"])
        summary = (
            f"{plan.n_selected:,} records would be moved; nothing was. To move them: {command}"
        )
    else:
        summary = "nothing to move"
    console.print(summary, highlight=False)


def _check_topics(*flags: tuple[str, str | None]) -> None:
    for flag, topic in flags:
        if topic is not None and not re.fullmatch(TOPIC_PATTERN, topic):
            msg = f"{flag}: found {topic!r}, expected a topic name (letters, digits, '.', '_', '-')"
            raise ConfigError(msg)


def _check_order(selection: Selection) -> None:
    """Refuse bounds that select nothing."""
    for flags, first, last in (
        ("--since, --until", selection.since_ms, selection.until_ms),
        ("--from-offset, --to-offset", selection.from_offset, selection.to_offset),
    ):
        if first is not None and last is not None and first > last:
            raise ConfigError(f"{flags}: the first lies behind the second, so nothing is selected")


def _reasons(reasons: list[str]) -> tuple[str, ...]:
    known = {**REASONS, **FORWARD_REASONS}
    for each in reasons:
        if each not in known:
            msg = f"--reason: found {each!r}, expected one of {', '.join(known)}"
            raise ConfigError(msg)
    return tuple(sorted(set(reasons)))


def _milliseconds(flag: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return TimestampParser("rfc3339", zone="UTC", advice="none").parse_one(text) // _NS_PER_MS
    except DecodeError as exc:
        msg = f"{flag}: {exc.detail}"
        raise ConfigError(msg) from exc


def _progress() -> Progress:
    columns = (TaskText(), BarColumn(), TaskProgressColumn())
    console = open_console(stderr=True)
    return Progress(*columns, TimeElapsedColumn(), console=console, transient=True)
