"""A broker that asks who one is and what one may: TLS, SASL and access control lists."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import trustme
from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, not re-exported
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from tests.limits import Limit, slowness
from tests.system.broker import RealKafka
from tests.system.identity_provider import AUDIENCE, ISSUER, IdentityProvider

_SECURITY = "org.apache.kafka.common.security"
_LISTENERS = {"SCRAM": "SASL_SSL", "CERTIFICATE": "SSL", "TOKEN": "SASL_SSL"}
_SCOPE = "readings alerts"
_DEADLINE_S = 20.0

Settings = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """One operation on one resource, as the README lists them."""

    kind: str
    """`topic`, `group` or `transactional id`."""
    name: str
    operation: str
    is_prefix: bool = False


class SecureKafka:
    """A broker and a provider of tokens, and what daemons need to be let in.

    The broker's plain listener is the administrator's: whoever comes by it may do everything.

    Args:
        directory: For keys, certificates and the broker's data.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.ca_file = str(directory / "ca.pem")
        """The authority that signs every certificate here."""
        self._authority = trustme.CA()
        self._authority.cert_pem.write_to_path(self.ca_file)
        self._provider = IdentityProvider(self._authority, scope=_SCOPE)
        self._broker: RealKafka | None = None

    @property
    def broker(self) -> RealKafka:
        """The broker, by its plain listener."""
        assert self._broker is not None
        return self._broker

    def start(self) -> None:
        """Start the broker.

        Raises:
            BrokerUnavailableError: As `RealKafka.create` does.
        """
        server = self._authority.issue_cert("127.0.0.1")
        chain = b"".join(each.bytes() for each in server.cert_chain_pems)
        (self._directory / "server.pem").write_bytes(_key_pem(server, NoEncryption()) + chain)
        keys = self._directory / "keys.json"
        self._provider.publish_keys(keys)
        self._broker = RealKafka.create(
            self._directory / "broker",
            _properties(self._directory),
            listeners=_LISTENERS,
            # Kafka takes the keys of tokens from no place that is not named so.
            java_options=[f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={keys.as_uri()}"],
        )

    def stop(self) -> None:
        """Stop broker and provider."""
        self._provider.close()
        if self._broker is not None:
            self._broker.stop()

    def by_password(self, user: str, password: str) -> Settings:
        """Return a daemon's settings for SCRAM-SHA-512 over TLS, all but the password."""
        admin = self._admin()
        done = admin.alter_user_scram_credentials(
            [
                UserScramCredentialUpsertion(
                    user,
                    ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096),
                    password.encode(),
                )
            ]
        )
        done[user].result(_DEADLINE_S * slowness())
        _await(lambda: _is_known(admin, user), f"the broker knows {user}")
        return {
            "kafka.bootstrap_servers": self.broker.addresses["SCRAM"],
            "kafka.security_protocol": "SASL_SSL",
            "kafka.sasl_mechanism": "SCRAM-SHA-512",
            "kafka.sasl_username": user,
            "kafka.ssl_ca_location": self.ca_file,
        }

    def by_certificate(
        self, user: str, key_password: str, authority: trustme.CA | None = None
    ) -> Settings:
        """Return settings for mutual TLS, all but the password that opens the key.

        Args:
            user: Its name.
            key_password: Encrypts the key.
            authority: Signs the certificate, if not the one that the broker knows.
        """
        certificate = (authority or self._authority).issue_cert(
            f"{user}@example.org", common_name=user
        )
        key_file = self._directory / f"{user}.key"
        encryption = BestAvailableEncryption(key_password.encode())
        key_file.write_bytes(_key_pem(certificate, encryption))
        certificate_file = self._directory / f"{user}.crt"
        certificate.cert_chain_pems[0].write_to_path(str(certificate_file))
        return {
            "kafka.bootstrap_servers": self.broker.addresses["CERTIFICATE"],
            "kafka.security_protocol": "SSL",
            "kafka.ssl_ca_location": self.ca_file,
            "kafka.ssl_certificate_location": str(certificate_file),
            "kafka.ssl_key_location": str(key_file),
        }

    def by_token(self, client: str, secret: str) -> Settings:
        """Return settings for OAUTHBEARER over TLS, all but the client's secret."""
        self._provider.register(client, secret)
        return {
            "kafka.bootstrap_servers": self.broker.addresses["TOKEN"],
            "kafka.security_protocol": "SASL_SSL",
            "kafka.sasl_mechanism": "OAUTHBEARER",
            "kafka.sasl_oauthbearer_token_endpoint_url": self._provider.token_url,
            "kafka.sasl_oauthbearer_client_id": client,
            "kafka.sasl_oauthbearer_scope": _SCOPE,
            "kafka.https_ca_location": self.ca_file,
            "kafka.ssl_ca_location": self.ca_file,
        }

    def grant(self, user: str, rights: Iterable[Right]) -> None:
        """Allow a user these operations and no other."""
        bindings = [
            AclBinding(
                ResourceType[right.kind.replace(" ", "_").upper()],
                right.name,
                ResourcePatternType.PREFIXED if right.is_prefix else ResourcePatternType.LITERAL,
                f"User:{user}",
                "*",
                AclOperation[_snake(right.operation)],
                AclPermissionType.ALLOW,
            )
            for right in rights
        ]
        admin = self._admin()
        for done in admin.create_acls(bindings).values():
            done.result(_DEADLINE_S * slowness())
        # The controller has them now; the broker, which decides by them, learns of them soon.
        _await(lambda: set(bindings) <= _granted(admin, user), f"the broker knows {user}'s rights")

    def _admin(self) -> AdminClient:
        """Return a client; its answers come for as long as it is held."""
        return AdminClient({"bootstrap.servers": self.broker.bootstrap})


def _is_known(admin: AdminClient, user: str) -> bool:
    asked = admin.describe_user_scram_credentials([user])
    assert isinstance(asked, dict)
    try:
        asked[user].result(_DEADLINE_S * slowness())
    except KafkaException:
        return False
    return True


def _granted(admin: AdminClient, user: str) -> set[AclBinding]:
    """Return what the broker that answers lets a user do."""
    wanted = AclBindingFilter(
        ResourceType.ANY,
        None,  # type: ignore[arg-type]  # any name; documented, not annotated so
        ResourcePatternType.ANY,
        f"User:{user}",
        None,  # type: ignore[arg-type]  # any host
        AclOperation.ANY,
        AclPermissionType.ANY,
    )
    return set(admin.describe_acls(wanted).result(_DEADLINE_S * slowness()))


def _await(holds: Callable[[], bool], what: str) -> None:
    limit = Limit(_DEADLINE_S)
    while not holds():
        assert not limit.is_over, f"not in {_DEADLINE_S:g} s: {what}"
        time.sleep(0.01)


def _properties(directory: Path) -> dict[str, str]:
    scram = "listener.name.scram"
    token = "listener.name.token"  # noqa: S105 -- the listener's name
    handler = f"{_SECURITY}.oauthbearer.OAuthBearerValidatorCallbackHandler"
    return {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        # Whoever comes by the plain listener, the broker to its controller among them.
        "super.users": "User:ANONYMOUS",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(directory / "server.pem"),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(directory / "ca.pem"),
        "listener.name.certificate.ssl.client.auth": "required",
        "listener.name.certificate.ssl.principal.mapping.rules": "RULE:^.*CN=([^,]+).*$/$1/",
        f"{scram}.sasl.enabled.mechanisms": "SCRAM-SHA-512",
        f"{scram}.scram-sha-512.sasl.jaas.config": f"{_SECURITY}.scram.ScramLoginModule required;",
        f"{token}.sasl.enabled.mechanisms": "OAUTHBEARER",
        f"{token}.oauthbearer.sasl.jaas.config": (
            f"{_SECURITY}.oauthbearer.OAuthBearerLoginModule required;"
        ),
        f"{token}.oauthbearer.sasl.server.callback.handler.class": handler,
        f"{token}.oauthbearer.sasl.oauthbearer.jwks.endpoint.url": (
            (directory / "keys.json").as_uri()
        ),
        f"{token}.oauthbearer.sasl.oauthbearer.expected.audience": AUDIENCE,
        f"{token}.oauthbearer.sasl.oauthbearer.expected.issuer": ISSUER,
    }


def _key_pem(certificate: trustme.LeafCert, encryption: KeySerializationEncryption) -> bytes:
    """Return the private key in PKCS 8, the one form that Java reads."""
    key = load_pem_private_key(certificate.private_key_pem.bytes(), password=None)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def _snake(operation: str) -> str:
    """Return the constant's name: `DescribeConfigs` -> `DESCRIBE_CONFIGS`."""
    return "".join(f"_{c}" if c.isupper() else c for c in operation).strip("_").upper()
