"""librdkafka properties, from `KafkaConfig`.

Three layers, the later one wins: tuned defaults < the operator's pass-through maps < what exactly-
once delivery and the typed settings fix. `KafkaConfig` already refuses pass-through entries of the
third layer, so nothing an operator wrote is dropped silently.
"""

import ssl
from pathlib import Path
from typing import Any, Literal

from confluent_kafka import Consumer, KafkaException, Producer

from stream_vae.core.records import LARGEST_RECORD_BYTES
from stream_vae.edges.kafka.client_log import CLIENT_LOG
from stream_vae.edges.kafka.config import TYPED_PROPERTIES, KafkaConfig
from stream_vae.errors import ConfigError

ClientProperties = dict[str, Any]
"""Arguments of a client's constructor: property values, and a logger or callbacks."""

_PREFETCH_KBYTES = 16 * 1024
_SEND_QUEUE_KBYTES = 64 * 1024
_LONGEST_HEARTBEAT_MS = 3_000
_LONGEST_POLL_GAP_S = 300.0
_BATCH_BYTES = 1_000_000


def client_properties(config: KafkaConfig, *, instance: str | None = None) -> ClientProperties:
    """Return the properties of every client: brokers, security and logging.

    Args:
        config: The operator's settings.
        instance: Client id, for the brokers' logs and quotas.
    """
    properties: ClientProperties = {
        "client.id": f"stream-vae-{instance}" if instance else "stream-vae",
        "socket.keepalive.enable": True,
        # Brokers close idle connections by design; each would be logged.
        "log.connection.close": False,
        "reconnect.backoff.ms": 100,
        "reconnect.backoff.max.ms": 5_000,
        # New partitions and topics are seen after a minute instead of five.
        "topic.metadata.refresh.interval.ms": 60_000,
        **_token_defaults(config),
        **config.common,
        "bootstrap.servers": config.bootstrap_servers,
        "security.protocol": config.security_protocol,
        "logger": CLIENT_LOG,
    }
    return properties | _typed_security(config)


def consumer_properties(
    config: KafkaConfig, protocol: Literal["consumer", "classic"], *, instance: str | None
) -> ClientProperties:
    """Return the daemon's consumer: group member, read committed, no automatic commits.

    Membership is static only with a configured `instance_id`: a static member that leaves keeps
    its partitions for a session, which helps a pod that restarts under its name and would stall
    the partitions of a random name.

    Args:
        config: The operator's settings.
        protocol: `group_protocol`, resolved for these brokers.
        instance: The instance's name, configured or random, for the brokers' logs.
    """
    properties = _reading(config, instance) | _group(config, protocol)
    return properties | {
        "group.id": config.group_id,
        # The consumer chooses the start offset itself, so that lost records are reported.
        "auto.offset.reset": "error",
        "logger": CLIENT_LOG,
    }


def reader_properties(config: KafkaConfig) -> ClientProperties:
    """Return a plain reader: read committed, assigned by hand, member of no group."""
    return _reading(config, "reader") | {
        # The client requires a group and looks up its coordinator without using it: the daemon's
        # own group, on which it has the right.
        "group.id": config.group_id,
        "auto.offset.reset": "earliest",
    }


def producer_properties(
    config: KafkaConfig, *, transactional_id: str | None = None, instance: str | None = None
) -> ClientProperties:
    """Return an idempotent producer, transactional if it is given an id."""
    delivery_s = config.delivery_timeout_s
    if transactional_id is not None:
        # librdkafka refuses records that outlive their transaction.
        delivery_s = min(delivery_s, config.transaction_timeout_s)
    properties: ClientProperties = {
        **client_properties(config, instance=instance),
        # A commit waits for the transaction's records, so a long linger only delays it.
        "linger.ms": 5,
        "compression.type": "lz4",
        "message.max.bytes": LARGEST_RECORD_BYTES,
        "queue.buffering.max.kbytes": _SEND_QUEUE_KBYTES,
        # The client's own default; a batch must fit into every topic, as a record must.
        "batch.size": _BATCH_BYTES,
        **config.producer,
        **_typed_security(config),
        "enable.idempotence": True,
        "message.timeout.ms": _ms(delivery_s),
        "logger": CLIENT_LOG,
    }
    if transactional_id is not None:
        properties["transactional.id"] = transactional_id
        properties["transaction.timeout.ms"] = _ms(config.transaction_timeout_s)
    return properties


def batch_bytes(config: KafkaConfig) -> int:
    """Return how many bytes of records the producer sends to a partition at once."""
    return int(producer_properties(config)["batch.size"])


def verify_properties(config: KafkaConfig) -> None:
    """Validate the settings with librdkafka, without a broker.

    Raises:
        ConfigError: If a pass-through name or value is unknown to it, or a file of keys or
            certificates cannot be used; the message names setting and file, and quotes librdkafka.
    """
    protocols: tuple[Literal["consumer", "classic"], ...] = ("consumer", "classic")
    wanted = [each for each in protocols if config.group_protocol in {"auto", each}]
    try:
        for protocol in wanted:
            Consumer(consumer_properties(config, protocol, instance="check")).close()
        Consumer(reader_properties(config)).close()
        Producer(producer_properties(config, transactional_id="check")).close()
    except KafkaException as exc:
        raise ConfigError(_with_setting(exc.args[0].str(), config)) from exc
    _verify_provider_authorities(config.https_ca_location)


def _with_setting(message: str, config: KafkaConfig) -> str:
    """Return librdkafka's message on a property, with its setting and file."""
    typed = {
        name: (f"kafka.{setting}", getattr(config, setting))
        for name, setting in TYPED_PROPERTIES.items()
    }
    passed = {
        name: (f"kafka.{place}: {name}", value)
        for place in ("common", "consumer", "producer")
        for name, value in getattr(config, place).items()
    }
    for name, (setting, value) in (typed | passed).items():
        if name.endswith(".location") and name in message and value is not None:
            return f"{setting}: {_unusable(str(value))} ({message})"
    return f"kafka: {message}"


def _unusable(path: str) -> str:
    try:
        with Path(path).open("rb"):
            return f"the file {path!r} cannot be used"
    except OSError as exc:
        return f"the file {path!r} cannot be read: {exc.strerror}"


def _verify_provider_authorities(path: str | None) -> None:
    """Read the file that librdkafka reads only when it asks for a token."""
    if path is None or not Path(path).is_file():
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError as exc:
        raise ConfigError(f"kafka.https_ca_location: {_unusable(path)} ({exc})") from exc


def _reading(config: KafkaConfig, instance: str | None) -> ClientProperties:
    """Return the properties of both kinds of consumers."""
    return {
        **client_properties(config, instance=instance),
        # Memory is bounded by kilobytes alone; when full, ask again soon: the default pause of a
        # second would starve a consumer that empties 16 MiB in less.
        "queued.min.messages": 100_000,
        "queued.max.messages.kbytes": _PREFETCH_KBYTES,
        "fetch.queue.backoff.ms": 20,
        "fetch.wait.max.ms": 100,
        # Bounds of one answer; a broker sends a single larger record nevertheless.
        "fetch.max.bytes": LARGEST_RECORD_BYTES,
        "max.partition.fetch.bytes": 4 * 1024 * 1024,
        "message.max.bytes": LARGEST_RECORD_BYTES,
        # A misspelt topic must be an error, not a new, empty topic.
        "allow.auto.create.topics": False,
        **config.consumer,
        **_typed_security(config),
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        # Needed to detect that only transaction markers are left in a partition.
        "enable.partition.eof": True,
        "logger": CLIENT_LOG,
    }


def _group(config: KafkaConfig, protocol: Literal["consumer", "classic"]) -> ClientProperties:
    """Return membership; in the `consumer` protocol the broker sets the session's length."""
    longest_s = max(_LONGEST_POLL_GAP_S, config.session_timeout_s)
    properties: ClientProperties = {"group.protocol": protocol}
    if "max.poll.interval.ms" not in config.common | config.consumer:
        properties["max.poll.interval.ms"] = _ms(longest_s)
    if config.instance_id is not None:
        properties["group.instance.id"] = config.instance_id
    if protocol == "classic":
        session_ms = _ms(config.session_timeout_s)
        properties |= {
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": session_ms,
            "heartbeat.interval.ms": max(1, min(_LONGEST_HEARTBEAT_MS, session_ms // 3)),
        }
    return properties


def _token_defaults(config: KafkaConfig) -> ClientProperties:
    """Return the default way to get a token: client credentials."""
    if config.sasl_mechanism != "OAUTHBEARER":
        return {}
    defaults: ClientProperties = {"sasl.oauthbearer.method": "oidc"}
    if "https.ca.pem" not in config.common | config.consumer | config.producer:
        # The bundled HTTP client otherwise uses the path of one family of systems.
        defaults["https.ca.location"] = "probe"
    return defaults


def _typed_security(config: KafkaConfig) -> ClientProperties:
    """Return the typed credentials in plain text: only the client gets them."""
    properties: ClientProperties = {}
    for name, attribute in TYPED_PROPERTIES.items():
        value = getattr(config, attribute)
        if value is not None:
            properties[name] = value if isinstance(value, str) else value.get_secret_value()
    return properties


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))
