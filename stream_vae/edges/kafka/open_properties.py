"""Which of librdkafka's properties may be shown: the others could be secrets, misspelt."""

from collections.abc import Mapping

from stream_vae.core.masking import MASK, is_secret_name
from stream_vae.edges.kafka.config import PropertyValue

# Those whose values are text or that concern security; librdkafka's CONFIGURATION.md has all. A
# property that is missing here is shown masked, which harms nobody; a secret shown would.
_OPEN = frozenset(
    {
        *("auto.offset.reset", "broker.address.family", "broker.version.fallback"),
        *("builtin.features", "client.id", "client.dns.lookup", "client.rack"),
        *("client.software.name", "client.software.version", "compression.codec"),
        *("compression.type", "debug", "group.protocol.type", "metadata.recovery.strategy"),
        *("offset.store.method", "offset.store.path", "partitioner", "plugin.library.paths"),
        *("queuing.strategy", "topic.blacklist", "enable.sasl.oauthbearer.unsecure.jwt"),
        *("enable.ssl.certificate.verification", "https.ca.location", "sasl.kerberos.keytab"),
        *("sasl.kerberos.kinit.cmd", "sasl.kerberos.min.time.before.relogin"),
        *("sasl.kerberos.principal", "sasl.kerberos.service.name", "sasl.mechanism"),
        *("sasl.mechanisms", "sasl.oauthbearer.assertion.algorithm"),
        *("sasl.oauthbearer.assertion.claim.aud", "sasl.oauthbearer.assertion.claim.exp.seconds"),
        *("sasl.oauthbearer.assertion.claim.iss", "sasl.oauthbearer.assertion.claim.jti.include"),
        *("sasl.oauthbearer.assertion.claim.nbf.seconds", "sasl.oauthbearer.assertion.claim.sub"),
        *("sasl.oauthbearer.assertion.file", "sasl.oauthbearer.assertion.jwt.template.file"),
        *("sasl.oauthbearer.assertion.private.key.file", "sasl.oauthbearer.client.id"),
        *("sasl.oauthbearer.client.credentials.client.id", "sasl.oauthbearer.grant.type"),
        *("sasl.oauthbearer.metadata.authentication.type", "sasl.oauthbearer.method"),
        *("sasl.oauthbearer.scope", "sasl.oauthbearer.sub.claim.name"),
        *("sasl.oauthbearer.token.endpoint.url", "sasl.username", "ssl.ca.certificate.stores"),
        *("ssl.ca.location", "ssl.certificate.location", "ssl.certificate.pem"),
        *("ssl.cipher.suites", "ssl.crl.location", "ssl.curves.list"),
        *("ssl.endpoint.identification.algorithm", "ssl.engine.id", "ssl.engine.location"),
        *("ssl.key.location", "ssl.keystore.location", "ssl.providers", "ssl.sigalgs.list"),
    }
)
_SECURITY = ("sasl", "ssl", "https")


def shown_properties(properties: Mapping[str, PropertyValue]) -> dict[str, PropertyValue]:
    """Return pass-through properties with all masked that is not known to be open.

    Numbers and booleans outside security are limits and switches, whatever their name.

    >>> shown_properties({"linger.ms": 5, "client.rack": "a", "sasl.pasword": "hunter2"})
    {'linger.ms': 5, 'client.rack': 'a', 'sasl.pasword': '**********'}
    """
    return {name: value if _is_open(name, value) else MASK for name, value in properties.items()}


def _is_open(name: str, value: PropertyValue) -> bool:
    if is_secret_name(name):
        return False
    is_limit = not isinstance(value, str) and not name.lower().startswith(_SECURITY)
    return is_limit or name in _OPEN
