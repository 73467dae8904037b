"""What hides behind librdkafka's `_FATAL` decides what becomes of the daemon."""

import pytest
from confluent_kafka import KafkaError

from stream_vae.edges.kafka.error_codes import unwrapped
from stream_vae.edges.kafka.errors import Recovery, recovery, translate
from stream_vae.errors import FencedError, KafkaRefusedError, StreamVaeError


def fatal(code: int) -> KafkaError:
    """Return the error as a consumer's queue carries it."""
    text = KafkaError(code).str()
    return KafkaError(KafkaError._FATAL, f"Fatal error: {text}: Fatal consumer error: {text}")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (KafkaError.FENCED_INSTANCE_ID, FencedError),
        (KafkaError.UNRELEASED_INSTANCE_ID, FencedError),
        (KafkaError.FENCED_MEMBER_EPOCH, FencedError),
        (KafkaError.UNSUPPORTED_VERSION, KafkaRefusedError),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, KafkaRefusedError),
        (KafkaError._UNSUPPORTED_FEATURE, KafkaRefusedError),
    ],
)
def test_a_fatal_error_is_taken_for_what_its_text_says(
    code: int, kind: type[StreamVaeError]
) -> None:
    assert unwrapped(fatal(code)).code() == code
    assert type(translate(fatal(code), "reading")) is kind
    assert recovery(fatal(code)) is Recovery.GIVE_UP


def test_an_error_that_is_not_fatal_is_left_as_it_is() -> None:
    error = KafkaError(KafkaError._TRANSPORT, KafkaError(KafkaError.FENCED_INSTANCE_ID).str())
    assert unwrapped(error) is error


def test_a_fatal_error_of_unknown_text_stays_fatal() -> None:
    error = KafkaError(KafkaError._FATAL, "Fatal error: the moon fell down")
    assert unwrapped(error).code() == KafkaError._FATAL
    assert unwrapped(error).fatal()
