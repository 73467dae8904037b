"""Whether the group counts this member in, be it without partitions."""

import time
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.properties import client_properties

_PAUSE_S = 1.0
_REQUEST_TIMEOUT_S = 5.0


class Membership:
    """Asks the group's coordinator, without waiting for the answer.

    The client tells of an assignment only where there is one to tell of: in the protocol `consumer`
    (KIP-848) a member without partitions hears nothing.
    """

    def __init__(self, config: KafkaConfig) -> None:
        self._group = config.group_id
        self._admin = AdminClient(client_properties(config))
        self._asked: Future[Any] | None = None
        self._asked_at = 0.0

    def includes(self, member_id: str | None) -> bool:
        """Tell whether the coordinator is known to list this member; to be called again and again.

        Args:
            member_id: As the client knows it.
        """
        if self._asked is None:
            if time.monotonic() - self._asked_at > _PAUSE_S:
                self._asked_at = time.monotonic()
                self._asked = self._admin.describe_consumer_groups(
                    [self._group], request_timeout=_REQUEST_TIMEOUT_S
                )[self._group]
            return False
        if not self._asked.done():
            return False
        asked, self._asked = self._asked, None
        try:
            return member_id in {member.member_id for member in asked.result().members}
        except KafkaException:
            return False  # the consumer itself will say what is wrong
