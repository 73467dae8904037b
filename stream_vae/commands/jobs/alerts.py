"""Alert events as lines, for the terminal and for pipes."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
import typer
from rich.console import Console

from stream_vae.commands.jobs.broker_notices import BrokerNotices
from stream_vae.commands.jobs.terminal import open_console
from stream_vae.core.excerpts import printable
from stream_vae.edges.kafka.read.topic_reader import TopicRecord, read_topic
from stream_vae.errors import AlertDecodeError, TopicMissingError
from stream_vae.settings import load_settings
from stream_vae.wire.alert_deduplicator import AlertDeduplicator
from stream_vae.wire.alert_text import format_alert
from stream_vae.wire.alerts import decode_alert

_MOST_TOLD = 10
"""Most undecodable records printed; in the wrong topic there may be millions."""


def print_alerts(
    flags: Mapping[str, object],
    config: Path | None,
    secrets_dir: Path | None,
    *,
    follow: bool,
    from_beginning: bool,
    as_json: bool,
) -> None:
    """Print the alert events of a topic, one line each."""
    settings = load_settings(config=config, overrides=flags, secrets_dir=secrets_dir).settings
    console = open_console(stderr=True, soft_wrap=True)
    printer = _Printer(console, as_json=as_json)
    try:
        for record in read_topic(
            settings.kafka,
            settings.output.alerts_topic,
            BrokerNotices(console, settings.kafka.bootstrap_servers),
            follow=follow,
            from_beginning=from_beginning,
        ):
            printer.show(record)
    except TopicMissingError as exc:
        raise TopicMissingError(f"{exc}; the daemon makes it when it first starts") from exc
    except KeyboardInterrupt:
        pass  # the normal end of --follow
    console.print(printer.tally(), highlight=False)


class _Printer:
    """Turns records into lines and counts them by outcome."""

    def __init__(self, console: Console, *, as_json: bool) -> None:
        self._console = console
        self._as_json = as_json
        self._seen = AlertDeduplicator()
        self._detectors: set[str] = set()
        self._shown = self._repeated = self._undecodable = 0

    def show(self, record: TopicRecord) -> None:
        """Print a record's event, unless it was printed before or is invalid."""
        try:
            event = decode_alert(record.value or b"")
        except AlertDecodeError as exc:
            self._undecodable += 1
            if self._undecodable <= _MOST_TOLD:
                place = f"partition {record.partition}, offset {record.offset}"
                self._console.print(f"{place}: {exc}", highlight=False)
            return
        if not self._seen.is_new(event):
            self._repeated += 1
            return
        self._shown += 1
        self._detectors.add(event.detector.name)
        if self._as_json:
            # The bytes themselves: fields that only a newer release knows are not lost.
            typer.echo(msgspec.json.format(record.value or b"", indent=-1))
        else:
            line = format_alert(event)
            if len(self._detectors) > 1:
                line += f"  detector {printable(event.detector.name, 60)}"
            typer.echo(line)

    def tally(self) -> str:
        """Return the closing line."""
        parts = [f"{self._shown:,} alert events"]
        if self._repeated:
            parts.append(f"{self._repeated:,} repeated ones left out")
        if self._undecodable:
            parts.append(f"{self._undecodable:,} records that are no alert event")
        return ", ".join(parts)
