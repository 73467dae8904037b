"""Signatures of webhooks.

References:
    Standard Webhooks 1.0.0, "Signature scheme": `v1` is HMAC-SHA256 of `id.timestamp.body`.
"""

import base64
import binascii
import hashlib
import hmac

_PREFIX = "whsec_"
_LEAST_BYTES = 24
_MOST_BYTES = 64


def webhook_headers(
    body: bytes, *, message_id: str, sent_at_s: int, keys: tuple[bytes, ...]
) -> dict[str, str]:
    """Return the headers of a message.

    Args:
        body: As it is sent.
        message_id: The same for every attempt: the receiver's deduplication key.
        sent_at_s: Of this attempt, epoch seconds.
        keys: One signature for each; none: unsigned.

    >>> headers = webhook_headers(
    ...     b'{"test": 2432232314}',
    ...     message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
    ...     sent_at_s=1614265330,
    ...     keys=webhook_keys("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
    ... )
    >>> headers["webhook-signature"]
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
    """
    headers = {"webhook-id": message_id, "webhook-timestamp": str(sent_at_s)}
    if keys:
        signed = f"{message_id}.{sent_at_s}.".encode() + body
        digests = [hmac.new(key, signed, hashlib.sha256).digest() for key in keys]
        headers["webhook-signature"] = " ".join(
            f"v1,{base64.b64encode(digest).decode()}" for digest in digests
        )
    return headers


def webhook_keys(secrets: str) -> tuple[bytes, ...]:
    """Return the keys in secrets separated by spaces; two while one takes the other's place.

    Raises:
        ValueError: If one is none; the message does not quote it.
    """
    keys = []
    for secret in secrets.split():
        try:
            key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            key = b""
        if not secret.startswith(_PREFIX) or not _LEAST_BYTES <= len(key) <= _MOST_BYTES:
            msg = (
                "found no secret of a webhook; expected whsec_ and the base64 of 24 to 64 bytes, "
                "as `echo whsec_$(openssl rand -base64 32)` prints"
            )
            raise ValueError(msg)
        keys.append(key)
    return tuple(keys)
