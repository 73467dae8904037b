"""Settings of the live page."""

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated

from annotated_types import Ge, Le, MinLen
from pydantic import SecretStr

LEAST_TOKEN = 16
"""Characters of a token: more than can be guessed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageConfig:
    """A page for people, read-only: what this instance does, its series and incidents, live."""

    enabled: bool = False
    """Serve the page, on a port of its own."""

    host: Annotated[str, MinLen(1)] = "127.0.0.1"
    """Address to listen on. Any other than a loopback address needs `page.token`."""

    port: Annotated[int, Ge(0), Le(65535)] = 8081
    """TCP port; 0 selects a free one."""

    token: SecretStr | None = None
    """Whoever opens the page must give it: 16 characters or more. Set it as a secret
    (`page__token`)."""

    def __post_init__(self) -> None:
        """Validate the fields against each other."""
        if self.token is not None and len(self.token.get_secret_value()) < LEAST_TOKEN:
            msg = f"token must have {LEAST_TOKEN} characters or more"
            raise ValueError(msg)
        if self.enabled and self.token is None and not is_loopback(self.host):
            msg = (
                f"host is {self.host}, which others reach, and there is no token: expected a "
                "loopback address (127.0.0.1), or page.token"
            )
            raise ValueError(msg)


def is_loopback(host: str) -> bool:
    """Return whether only programs of this machine reach an address.

    >>> is_loopback("127.0.0.2"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
