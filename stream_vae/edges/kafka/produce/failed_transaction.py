"""What becomes of a transaction that failed."""

from dataclasses import dataclass
from enum import Enum

from confluent_kafka import KafkaError

from stream_vae.edges.kafka.errors import Recovery, has_no_transaction, is_fenced, recovery


class Step(Enum):
    """The next step after a transaction that failed."""

    REPEAT = "repeat"
    """Make it again, with the same client: it was aborted."""
    RENEW = "renew"
    """Replace the client, and make it again unless it was committed after all."""
    LEAVE = "leave"
    """The group moved on: another member makes it."""
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """What a producer may do; see `OutputProducer`."""

    may_renew: bool
    may_have_rival: bool
    transaction_timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedTransaction:
    """A transaction that failed, and was aborted if that was possible."""

    error: KafkaError | None
    """The worst of it; None: the client does not answer."""
    lasted_s: float
    stood_still: bool
    """Whether this process stood still meanwhile."""
    must_renew: bool
    """Whether the client takes no other transaction."""
    is_overdue: bool
    """Whether the deadline has passed."""


def next_step(failed: FailedTransaction, rights: Rights) -> Step:
    """Return what to do after a transaction that failed."""
    error = failed.error
    if error is None:
        return Step.RENEW if rights.may_renew else Step.FAIL
    if failed.is_overdue or (failed.must_renew and not rights.may_renew):
        return Step.FAIL
    is_nobodys = has_no_transaction(error) or _was_timed_out(error, failed, rights)
    if error.fatal() and rights.may_renew and is_nobodys:
        return Step.RENEW
    if recovery(error) is Recovery.GIVE_UP:
        return Step.FAIL
    return Step.LEAVE if is_fenced(error) else Step.REPEAT


def _was_timed_out(error: KafkaError, failed: FailedTransaction, rights: Rights) -> bool:
    """Return whether the brokers' timeout is taken to have ended the transaction.

    The broker increases the epoch like another producer of the same id, so the client cannot
    distinguish the two. Where there can be one, it is supposed if this process stood still: it may
    have been replaced meanwhile.
    """
    is_replaced = rights.may_have_rival and failed.stood_still
    lasted = failed.lasted_s >= rights.transaction_timeout_s
    return is_fenced(error) and lasted and not is_replaced
