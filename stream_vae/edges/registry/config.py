"""Settings of the schema registry."""

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from annotated_types import Gt, Le, MinLen
from pydantic import SecretStr


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryConfig:
    """Where schemas are looked up, and as whom."""

    url: Annotated[str, MinLen(1)] | None = None
    """Address of the registry (`https://registry:8081`); several with commas are tried in turn."""

    user: Annotated[str, MinLen(1)] | None = None
    """User name, or key of an API; needs `password`."""

    password: SecretStr | None = None
    """Password, or secret of an API."""

    token: SecretStr | None = None
    """Bearer token, instead of a user."""

    ssl_ca_location: Annotated[str, MinLen(1)] | None = None
    """PEM file of the authorities that may have signed the registry's certificate; unset, the
    system's."""

    ssl_certificate_location: Annotated[str, MinLen(1)] | None = None
    """PEM file of the daemon's own certificate (mutual TLS); needs `ssl_key_location`."""

    ssl_key_location: Annotated[str, MinLen(1)] | None = None
    """PEM file of its key."""

    timeout_s: Annotated[float, Gt(0), Le(600)] = 10.0
    """Longest wait for one answer."""

    def __post_init__(self) -> None:
        """Validate the fields against each other."""
        for url in self.urls:
            _check(url)
        if (self.user is None) != (self.password is None):
            msg = "user and password must be given together"
            raise ValueError(msg)
        if self.user is not None and self.token is not None:
            msg = "user and token exclude each other"
            raise ValueError(msg)
        if (self.ssl_certificate_location is None) != (self.ssl_key_location is None):
            msg = "ssl_certificate_location and ssl_key_location must be given together"
            raise ValueError(msg)

    @property
    def urls(self) -> tuple[str, ...]:
        """The addresses, without a slash at the end."""
        return tuple(url.strip().rstrip("/") for url in (self.url or "").split(",") if url.strip())


def _check(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_sound = False
    if not is_sound:
        msg = (
            "url must begin with http:// or https:// and name a host, such as http://registry:8081"
        )
        raise ValueError(msg)
    if parts.username is not None or parts.password is not None:
        msg = "url must not hold a password, which would be shown; expected user and password"
        raise ValueError(msg)
