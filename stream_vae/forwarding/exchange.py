"""Requests to a receiver, its answers, and what follows from them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal, Protocol

import msgspec

from stream_vae.core.excerpts import excerpt

_LONGEST_WAIT_S = 3600.0
# What depends on the one event. Everything else (a wrong key or address, a limit) is for the
# operator or for time to mend, and the next event would fare no better.
_REFUSALS = frozenset({400, 406, 409, 411, 412, 413, 414, 415, 416, 422, 431})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request."""

    method: Literal["GET", "POST", "PATCH"]
    path: str = ""
    """Appended to the receiver's address."""
    body: bytes | None = None
    """JSON."""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """The answer to one request."""

    status: int
    body: bytes = b""
    """Its first few kilobytes."""
    retry_after: str = ""
    """The header of that name."""


class DeliveryError(Exception):
    """A receiver did not take an event.

    Args:
        detail: Why, without the address or a secret.
        is_final: Whether it never will.
        retry_after_s: When to try again, if the receiver says so.
    """

    def __init__(
        self, detail: str, *, is_final: bool = False, retry_after_s: float | None = None
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.is_final = is_final
        self.retry_after_s = retry_after_s


class Exchange(Protocol):
    """Sends requests to one receiver."""

    def send(self, request: Request) -> Response:
        """Return the answer, whatever its status; redirects are not followed.

        Raises:
            DeliveryError: If there is none.
        """
        ...


def accepted(response: Response, now: datetime) -> Response:
    """Return an answer that takes the request.

    Raises:
        DeliveryError: If it does not.
    """
    if 200 <= response.status < 300:
        return response
    said = excerpt(response.body.strip(), 200)
    raise DeliveryError(
        f"HTTP {response.status}{': ' if said else ''}{said}",
        is_final=response.status in _REFUSALS,
        retry_after_s=_seconds(response.retry_after, now),
    )


def encode_json(content: object) -> bytes:
    """Return the body of a request."""
    return msgspec.json.encode(content)


def decode_json(response: Response) -> Any:
    """Return what an answer holds.

    Raises:
        DeliveryError: If it is no JSON.
    """
    try:
        return msgspec.json.decode(response.body)
    except msgspec.DecodeError:
        raise DeliveryError(f"HTTP {response.status}, but the answer is no JSON") from None


def _seconds(retry_after: str, now: datetime) -> float | None:
    """Return the wait in a `Retry-After` header, seconds or a date; None of anything else."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), _LONGEST_WAIT_S)
    try:
        until = parsedate_to_datetime(text)
        return min(max((until - now).total_seconds(), 0.0), _LONGEST_WAIT_S)
    except (TypeError, ValueError, OverflowError):  # no date, or one without a zone
        return None
