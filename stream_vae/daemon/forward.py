"""From settings to the loop of a forwarder."""

import os
import random
import uuid
from dataclasses import replace

from stream_vae import __version__
from stream_vae.daemon.surroundings import Surroundings
from stream_vae.edges.kafka.admin.owned_topics import OwnedTopic
from stream_vae.edges.kafka.admin.startup import await_topics, create_topics, refuse_unfit
from stream_vae.edges.kafka.consume.input_consumer import InputConsumer
from stream_vae.edges.kafka.patience import answered_unless
from stream_vae.edges.kafka.produce.output_producer import OutputProducer
from stream_vae.edges.kafka.properties import batch_bytes
from stream_vae.edges.receivers.build import build_receiver
from stream_vae.events import ForwarderStarted, SettingsLoaded
from stream_vae.forwarding.loop import ForwardLoop
from stream_vae.forwarding.parts import ForwardParts, ForwardPlan

_ADVICE = (
    "the daemon makes it when it first starts: start that, or set output.alerts_topic to its topic"
)
_DETECTOR_COMES_S = 7 * 86_400.0
"""A detector may have to be trained first. A forwarder that ended meanwhile would not know, when it
starts again, that nobody has told the first events yet."""


def start_forwarder(around: Surroundings) -> ForwardLoop | None:
    """Wait for brokers and topics, and return the loop.

    Returns:
        None if the forwarder was asked to stop first.

    Raises:
        ConfigError: If the receiver's settings or the topics cannot be used.
        KafkaUnavailableError: If no broker answers before the deadline.
        KafkaRefusedError: If a topic is missing, or a right.
    """
    settings, events = around.loaded.settings, around.events
    forward, output = settings.forward, settings.output
    receiver = build_receiver(forward)
    kafka = replace(settings.kafka, group_id=settings.forward_group)
    instance = kafka.instance_id or f"{os.uname().nodename}-{uuid.uuid4().hex[:8]}"
    events.record(
        ForwarderStarted(
            version=__version__,
            instance=instance,
            receiver=str(forward.to),
            address=forward.address,
            group=kafka.group_id,
            http_url=around.http_url,
            settings=around.loaded.changed(),
        )
    )
    events.record(SettingsLoaded(settings=around.loaded.dotted()))
    owned = [
        OwnedTopic(
            name=output.dead_letter_topic, kind="dead_letters", batch_bytes=batch_bytes(kafka)
        )
    ]

    def waits_no_longer() -> bool:
        around.heartbeat.beat(around.clock.monotonic())
        return around.stopping()

    found = await_topics(
        kafka,
        output.alerts_topic,
        owned,
        events,
        stopping=waits_no_longer,
        called="the alerts topic",
        advice=_ADVICE,
        topic_deadline_s=_DETECTOR_COMES_S,
    )
    if found is None:
        return None
    # Alert events are far smaller than what their topic accepts.
    source = replace(found.source, settings={})
    refuse_unfit(replace(found, source=source), owned, kafka.bootstrap_servers)
    missing = [topic for topic in owned if topic.name not in found.owned]
    n_partitions = found.source.n_partitions
    answered_unless(
        waits_no_longer,
        lambda: create_topics(kafka, missing, n_partitions),
        kafka.broker_deadline_s,
        events,
    )
    producer = OutputProducer(
        kafka,
        f"{kafka.group_id}.{instance}",
        events,
        may_have_rival=kafka.instance_id is not None,
    )
    producer.open()
    return ForwardLoop(
        ForwardPlan(
            topic=output.alerts_topic,
            dead_letter_topic=output.dead_letter_topic,
            group=kafka.group_id,
            name=settings.detector.name,
            detectors=frozenset(forward.detectors),
            receiver=f"{forward.to} at {forward.address}",
            start="earliest" if found.was_source_missing else forward.start,
            min_severity=forward.min_severity,
            retry_s=forward.retry_s,
            liveness_timeout_s=settings.http.liveness_timeout_s,
        ),
        ForwardParts(
            consumer=InputConsumer(kafka, output.alerts_topic, events),
            producer=producer,
            receiver=receiver,
            events=events,
            heartbeat=around.heartbeat,
            clock=around.clock,
            chance=random.Random().random,  # noqa: S311 -- spreads attempts, hides nothing
        ),
    )
