"""A provider of OAuth 2 tokens for client credentials (RFC 6749, section 4.4), over HTTPS."""

import base64
import json
import ssl
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote_plus

import jwt
import trustme
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

AUDIENCE = "kafka"
ISSUER = "https://identity.test"
_KEY_ID = "tests"


class IdentityProvider:
    """Signs tokens for the clients it knows; the brokers check them by the key set it publishes.

    Args:
        authority: Signs its own certificate.
        scope: What a client has to ask for.
        lifetime_s: Of a token.
    """

    def __init__(self, authority: trustme.CA, *, scope: str, lifetime_s: int = 60) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._secrets: dict[str, str] = {}
        self._scope = scope
        self._lifetime_s = lifetime_s
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                form = parse_qs(self.rfile.read(length).decode())
                status, content = provider._answer(self.headers.get("Authorization", ""), form)
                body = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def token_url(self) -> str:
        """Where tokens are given."""
        return f"https://127.0.0.1:{self._server.server_port}/token"

    def register(self, client: str, secret: str) -> None:
        """Know a client from now on."""
        self._secrets[client] = secret

    def publish_keys(self, file: Path) -> None:
        """Write the set of public keys (RFC 7517)."""
        key = json.loads(RSAAlgorithm.to_jwk(self._key.public_key()))
        content = {"keys": [{**key, "kid": _KEY_ID, "use": "sig", "alg": "RS256"}]}
        file.write_text(json.dumps(content))

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, authorization: str, form: Mapping[str, list[str]]) -> tuple[int, object]:
        client, _, secret = (
            base64.b64decode(authorization.partition(" ")[2]).decode().partition(":")
        )
        if self._secrets.get(unquote_plus(client)) != unquote_plus(secret):
            return 401, {"error": "invalid_client"}
        if form.get("scope") != [self._scope]:
            return 400, {"error": "invalid_scope"}
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "sub": client,
            "aud": AUDIENCE,
            "scope": self._scope,
            "iat": now,
            "exp": now + self._lifetime_s,
        }
        token = jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": _KEY_ID})
        answer = {"access_token": token, "token_type": "Bearer", "expires_in": self._lifetime_s}
        return 200, answer
