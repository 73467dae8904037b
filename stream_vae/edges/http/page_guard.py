"""Who may see the live page, and what a browser may do with it."""

import hashlib
import hmac
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stream_vae.edges.http.page_config import is_loopback

OPEN_PATHS = frozenset({"/login", "/login.js", "/page.css", "/icon.svg"})
"""What is shown to those who have no token yet; it tells nothing of the instance."""

_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    # Not "no-referrer": then the form of the login would say that it came from nowhere.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Token:
    """The token of the page, never as such outside of the login.

    Args:
        value: The token; None lets everybody in.
    """

    def __init__(self, value: str | None) -> None:
        self._digest = None if value is None else _digest(value)

    @property
    def is_asked(self) -> bool:
        """Whether there is one."""
        return self._digest is not None

    def fits(self, given: str) -> bool:
        """Return whether a given token is the right one, in a time that does not depend on it."""
        return self._digest is not None and hmac.compare_digest(_digest(given), self._digest)

    @property
    def cookie(self) -> str:
        """The name of the cookie of those who have given it.

        Browsers send cookies to all ports of a host, whose pages may have other tokens: each token
        has its own.
        """
        return f"stream-vae-page-{self._derived(b'cookie')[:12]}"

    @property
    def session(self) -> str:
        """The value of that cookie: the same for all instances with this token."""
        return self._derived(b"page")

    def admits(self, headers: Headers) -> bool:
        """Return whether a request may see the page."""
        if self._digest is None:
            return True
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.casefold() == "bearer" and self.fits(given.strip()):
            return True
        # Not `http.cookies`: it reads none where one of another port has odd characters.
        cookie = cookie_parser(headers.get("cookie", "")).get(self.cookie, "")
        return hmac.compare_digest(cookie.encode(), self.session.encode())

    def _derived(self, purpose: bytes) -> str:
        return hmac.new(self._digest or b"", b"stream-vae " + purpose, hashlib.sha256).hexdigest()


class Guard:
    """Answers none but the requests it may, and adds headers to all responses.

    Without a token only names of this machine are answered: a page elsewhere whose name was made
    to lead here (DNS rebinding) gets nothing. No request of another site is answered, token or not.

    Args:
        app: The application.
        token: Of the page.
        host: That is listened on.
    """

    def __init__(self, app: ASGIApp, token: Token, host: str) -> None:
        self._app = app
        self._token = token
        self._host = host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        refusal = self._refusal(scope)
        app = self._app if refusal is None else refusal
        await app(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._token.is_asked and not self._is_ours(host):
            return PlainTextResponse("this name does not lead to the page\n", 421)
        if _is_of_another_site(scope["method"], headers):
            return PlainTextResponse("asked by another site\n", 403)
        if scope["path"] in OPEN_PATHS or self._token.admits(headers):
            return None
        if scope["path"] == "/" and scope["method"] == "GET":
            return RedirectResponse("login", 303)
        return PlainTextResponse("expected the token of the page\n", 401)

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return is_loopback(name) or name == self._host


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _is_of_another_site(method: str, headers: Headers) -> bool:
    """Return whether a script or form of another site asks; a link to the page may lead here."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        is_link = method == "GET" and headers.get("sec-fetch-mode") == "navigate"
        return site not in {"same-origin", "none"} and not is_link
    origin = headers.get("origin")  # of browsers that do not tell, or trust the address too little
    return origin is not None and _authority(origin) != headers.get("host", "").casefold()


def _authority(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.casefold()
    except ValueError:
        return ""
