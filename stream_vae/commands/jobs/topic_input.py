"""A topic as the input of an offline command."""

import time

from stream_vae.commands.jobs.broker_notices import BrokerNotices
from stream_vae.commands.jobs.input_files import TopicPeriod
from stream_vae.commands.jobs.terminal import open_console
from stream_vae.edges.files.csv_header import ColumnChoice
from stream_vae.edges.files.record_files import TopicRecords
from stream_vae.edges.kafka.read.topic_batches import read_period
from stream_vae.edges.registry.schema_client import schema_source
from stream_vae.errors import ConfigError, DecodeError
from stream_vae.inputs.timestamps import TimestampParser
from stream_vae.settings import Settings


def open_topic(period: TopicPeriod, choice: ColumnChoice, settings: Settings) -> TopicRecords:
    """Return the records of a topic, not yet read: the daemon's decoder admits them.

    Raises:
        ConfigError: If a time cannot be read, or they are in the wrong order.
    """
    since, until = (
        _nanoseconds(f"--{name}", text)
        for name, text in (("since", period.since), ("until", period.until))
    )
    if since is not None and until is not None and since >= until:
        raise ConfigError("--since, --until: the first lies behind the second; nothing is selected")
    console = open_console(stderr=True, soft_wrap=True)
    batches = read_period(
        settings.kafka,
        period.topic,
        BrokerNotices(console, settings.kafka.bootstrap_servers),
        since_ns=since,
        until_ns=until,
    )
    return TopicRecords(
        period.topic,
        batches,
        choice,
        settings.input,
        now_ns=time.time_ns(),
        schemas=schema_source(settings.registry),
    )


def _nanoseconds(flag: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return TimestampParser("rfc3339", zone="UTC", advice="none").parse_one(text)
    except DecodeError as exc:
        raise ConfigError(f"{flag}: {exc.detail}") from exc
