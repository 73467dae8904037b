"""What becomes of a transaction that failed, by its error and by what its producer may do."""

from dataclasses import replace

import pytest
from confluent_kafka import KafkaError

from stream_vae.edges.kafka.produce.failed_transaction import (
    FailedTransaction,
    Rights,
    Step,
    next_step,
)

TIMEOUT_S = 60.0
ANONYMOUS = Rights(may_renew=True, may_have_rival=False, transaction_timeout_s=TIMEOUT_S)
NAMED = replace(ANONYMOUS, may_have_rival=True)
UNGUARDED = replace(ANONYMOUS, may_renew=False)

FENCED = KafkaError(KafkaError._FENCED, "fenced", fatal=True)
UNKNOWN = KafkaError(KafkaError.INVALID_TXN_STATE, "unknown", fatal=True)
ABORTED = KafkaError(KafkaError._PURGE_QUEUE, "purged", txn_requires_abort=True)
MOVED_ON = KafkaError(KafkaError.ILLEGAL_GENERATION, "old", txn_requires_abort=True)
FORBIDDEN = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, "no", txn_requires_abort=True)
BROKEN = KafkaError(KafkaError.UNKNOWN_PRODUCER_ID, "gap", fatal=True)
LEADERLESS = KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION, "elects", retriable=True)


def failed(error: KafkaError | None, **said: object) -> FailedTransaction:
    usual = FailedTransaction(
        error=error, lasted_s=1.0, stood_still=False, must_renew=False, is_overdue=False
    )
    return replace(usual, **said)  # type: ignore[arg-type]


@pytest.mark.parametrize("rights", [ANONYMOUS, NAMED, UNGUARDED])
@pytest.mark.parametrize(
    ("error", "step"),
    [
        (ABORTED, Step.REPEAT),
        (LEADERLESS, Step.REPEAT),
        (KafkaError(KafkaError.INVALID_TXN_STATE, "not fatal"), Step.REPEAT),
        (MOVED_ON, Step.LEAVE),
        (KafkaError(KafkaError.STALE_MEMBER_EPOCH), Step.LEAVE),
        (FORBIDDEN, Step.FAIL),
        (FENCED, Step.FAIL),
        (BROKEN, Step.FAIL),
        (KafkaError(KafkaError.INVALID_PRODUCER_EPOCH), Step.FAIL),
        (KafkaError(KafkaError.MSG_SIZE_TOO_LARGE), Step.FAIL),
    ],
)
def test_most_errors_mean_one_thing_to_every_producer(
    error: KafkaError, step: Step, rights: Rights
) -> None:
    assert next_step(failed(error), rights) is step


@pytest.mark.parametrize("error", [ABORTED, LEADERLESS, MOVED_ON, FORBIDDEN, FENCED, UNKNOWN])
def test_after_its_deadline_it_fails(error: KafkaError) -> None:
    overdue = failed(error, is_overdue=True, lasted_s=TIMEOUT_S)
    assert next_step(overdue, ANONYMOUS) is Step.FAIL


@pytest.mark.parametrize(
    ("rights", "lasted_s", "stood_still", "step"),
    [
        (ANONYMOUS, TIMEOUT_S - 1, False, Step.FAIL),
        (ANONYMOUS, TIMEOUT_S, False, Step.RENEW),
        (ANONYMOUS, TIMEOUT_S, True, Step.RENEW),
        (NAMED, TIMEOUT_S, False, Step.RENEW),
        (NAMED, TIMEOUT_S, True, Step.FAIL),
        (UNGUARDED, TIMEOUT_S, False, Step.FAIL),
    ],
)
def test_the_id_is_taken_back_where_the_brokers_timeout_and_no_rival_can_have_taken_it(
    rights: Rights, lasted_s: float, step: Step, *, stood_still: bool
) -> None:
    assert next_step(failed(FENCED, lasted_s=lasted_s, stood_still=stood_still), rights) is step


@pytest.mark.parametrize("error", [UNKNOWN, None], ids=["unknown to the brokers", "hung"])
@pytest.mark.parametrize(
    ("rights", "step"), [(ANONYMOUS, Step.RENEW), (NAMED, Step.RENEW), (UNGUARDED, Step.FAIL)]
)
def test_a_client_that_cannot_go_on_is_replaced_where_the_group_guards_the_offsets(
    error: KafkaError | None, rights: Rights, step: Step
) -> None:
    assert next_step(failed(error, stood_still=True), rights) is step


@pytest.mark.parametrize(
    ("rights", "error", "step"),
    [
        (ANONYMOUS, ABORTED, Step.REPEAT),
        (ANONYMOUS, MOVED_ON, Step.LEAVE),
        (UNGUARDED, ABORTED, Step.FAIL),
        (UNGUARDED, MOVED_ON, Step.FAIL),
    ],
)
def test_a_client_that_takes_no_other_transaction_ends_who_must_not_replace_it(
    rights: Rights, error: KafkaError, step: Step
) -> None:
    assert next_step(failed(error, must_renew=True), rights) is step
