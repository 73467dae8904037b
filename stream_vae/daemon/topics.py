"""The topics that the daemon writes."""

from stream_vae.core.model_spec import ModelSpec
from stream_vae.core.records import LARGEST_RECORD_BYTES
from stream_vae.daemon.largest_records import largest_alert, largest_checkpoint, largest_state
from stream_vae.edges.kafka.admin.owned_topics import OwnedTopic
from stream_vae.edges.kafka.properties import batch_bytes
from stream_vae.errors import ConfigError
from stream_vae.pipeline.incident_ids import Origin
from stream_vae.settings import Settings


def owned_topics(settings: Settings, spec: ModelSpec, origin: Origin) -> list[OwnedTopic]:
    """Return the topics that the daemon writes.

    Args:
        settings: Their names.
        spec: The model.
        origin: Of alert events.

    Raises:
        ConfigError: If the state of a series, or the open sessions of a partition, do not fit into
            a record.
    """
    sent = batch_bytes(settings.kafka)
    max_features = settings.detect.incident.max_features
    topics = [
        OwnedTopic(
            name=settings.output.alerts_topic,
            kind="alerts",
            largest_record=largest_alert(spec, origin, max_features, settings.input.topic),
            batch_bytes=sent,
        ),
        OwnedTopic(name=settings.output.dead_letter_topic, kind="dead_letters", batch_bytes=sent),
        OwnedTopic(name=settings.output.late_topic, kind="late", batch_bytes=sent),
    ]
    if settings.output.scores_topic is not None:
        topics.append(
            OwnedTopic(name=settings.output.scores_topic, kind="scores", batch_bytes=sent)
        )
    if settings.changelog_topic is not None:
        state = largest_state(spec, settings.detect)
        opened = largest_checkpoint(spec, settings.input.sessions)
        if opened > LARGEST_RECORD_BYTES:
            msg = (
                f"{settings.input.session_max_open} open sessions of this model take {opened} "
                f"bytes; expected at most {LARGEST_RECORD_BYTES}, or they do not fit into a "
                "changelog record: lower input.session_max_open, or set state.changelog to false"
            )
            raise ConfigError(msg)
        if state > LARGEST_RECORD_BYTES:
            msg = (
                f"the state of one series of this model takes {state} bytes; expected at most "
                f"{LARGEST_RECORD_BYTES}, or it does not fit into a changelog record: train with a "
                "shorter model.window_length, lower detect.threshold.window, or set "
                "state.changelog to false"
            )
            raise ConfigError(msg)
        topics.append(
            OwnedTopic(
                name=settings.changelog_topic,
                kind="changelog",
                largest_record=max(state, opened),
                batch_bytes=sent,
            )
        )
    return topics
