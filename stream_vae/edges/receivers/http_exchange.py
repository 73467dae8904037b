"""Requests to one receiver over HTTP."""

import http.client
import re
import ssl
from collections.abc import Mapping, Sequence
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, ProxyHandler, getproxies
from urllib.request import Request as UrlRequest

from stream_vae import __version__
from stream_vae.core.excerpts import printable
from stream_vae.core.masking import MASK
from stream_vae.errors import ConfigError
from stream_vae.forwarding.exchange import DeliveryError, Request, Response

_LARGEST_ANSWER = 64 * 1024
_LEAST_SECRET = 6
_PROXY = re.compile(r"(https?://)?(?P<authority>[!-.0-~]+)(?(1)/?)", re.IGNORECASE)


class HttpExchange:
    """Sends each request on a connection of its own.

    Proxies are those of the environment (`HTTPS_PROXY`, `NO_PROXY`). Redirects are not followed:
    they would take secrets to another host. What was sent stands in no message.

    Args:
        url: Of the receiver; the paths of requests are appended.
        headers: Of every request; may hold a secret.
        timeout_s: Longest wait to connect, and for each part of the answer.
        ssl_ca_location: PEM file of authorities; None: the system's.
        secrets: What else may stand in no message.

    Raises:
        ConfigError: If the file cannot be read, or the proxy's address.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        timeout_s: float,
        ssl_ca_location: str | None = None,
        secrets: Sequence[str] = (),
    ) -> None:
        self._url = url
        self._headers = {"User-Agent": f"stream-vae/{__version__}", **headers}
        # Answers quote a path more often than a whole URL.
        parts = urlsplit(url)
        self._secrets = [url, parts.path, parts.query, *headers.values(), *secrets]
        self._timeout_s = timeout_s
        # Built by hand: the library's own opener follows redirects, and opens files.
        self._opener = OpenerDirector()
        self._opener.add_handler(ProxyHandler(_proxies(parts.scheme)))
        self._opener.add_handler(HTTPHandler())
        self._opener.add_handler(HTTPSHandler(context=_tls(ssl_ca_location)))

    def send(self, request: Request) -> Response:
        """Return the answer, whatever its status.

        Raises:
            DeliveryError: If there is none.
        """
        headers = {"Accept": "application/json", **self._headers, **request.headers}
        if request.body is not None:
            headers["Content-Type"] = "application/json"
        sent = UrlRequest(  # noqa: S310 -- the opener has no handler of other schemes
            self._url + request.path, data=request.body, headers=headers, method=request.method
        )
        try:
            with self._opener.open(sent, timeout=self._timeout_s) as answer:
                return Response(
                    status=answer.status,
                    body=self._masked(answer.read(_LARGEST_ANSWER)),
                    retry_after=answer.headers.get("Retry-After", ""),
                )
        except URLError as exc:
            raise DeliveryError(_reason(exc.reason)) from None
        except (OSError, http.client.HTTPException) as exc:
            raise DeliveryError(_reason(exc)) from None

    def _masked(self, body: bytes) -> bytes:
        """Return an answer without what was sent, should it quote that."""
        for secret in self._secrets:
            if len(secret) >= _LEAST_SECRET:
                body = body.replace(secret.encode(), MASK.encode())
        return body


def _reason(error: object) -> str:
    # Errors of the protocol may quote the request; those of the network do not.
    if isinstance(error, OSError):
        return printable(str(error) or type(error).__name__, 150)
    return type(error).__name__ if isinstance(error, Exception) else printable(str(error), 150)


def _proxies(scheme: str) -> dict[str, str]:
    """Return the environment's proxy for a scheme, if it has one.

    Raises:
        ConfigError: If it is no address.
    """
    proxy = getproxies().get(scheme)
    if proxy is None:
        return {}
    found = _PROXY.fullmatch(proxy)
    try:
        parts = urlsplit(f"//{found['authority']}" if found else "")
        is_sound = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_sound = False
    if not is_sound:
        raise ConfigError(
            f"{scheme.upper()}_PROXY: found no address (not shown: it may hold a password); "
            "expected http://HOST:PORT"
        )
    return {scheme: proxy}


def _tls(ca_location: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_location)
    except (OSError, ssl.SSLError) as exc:
        raise ConfigError(
            f"forward.ssl_ca_location: {ca_location!r} cannot be used ({exc}); expected a PEM file"
        ) from None
