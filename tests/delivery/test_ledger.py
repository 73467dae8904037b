"""The ledger's laws, walked by a state machine."""

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from stream_vae.delivery.ledger import OffsetLedger


class LedgerMachine(RuleBasedStateMachine):
    """Two partitions; work is tracked in offset order and settled in any order."""

    tickets = Bundle("tickets")

    def __init__(self) -> None:
        super().__init__()
        self.ledger = OffsetLedger()
        self.end = {0: 0, 1: 0}
        self.unsettled: dict[int, dict[int, int]] = {}
        self.committed = {0: 0, 1: 0}
        self.revoked_tickets: dict[int, set[int]] = {0: set(), 1: set()}

    @rule(target=tickets, partition=st.sampled_from([0, 1]), records=st.integers(1, 5))
    def track(self, partition: int, records: int) -> int:
        begin = self.end[partition]
        self.end[partition] += records
        ticket = self.ledger.track({partition: self.end[partition]})
        self.unsettled[ticket] = {partition: begin}
        return ticket

    @rule(ticket=consumes(tickets))
    def settle(self, ticket: int) -> None:
        self.ledger.settle(ticket)
        self.unsettled.pop(ticket)

    @rule()
    def commit(self) -> None:
        offsets = self.ledger.committable()
        for partition, offset in offsets.items():
            assert offset > self.committed[partition], "a commit never falls or repeats"
            self.committed[partition] = offset
        self.ledger.committed(offsets)
        assert self.ledger.committable() == {}

    @rule(partition=st.sampled_from([0, 1]))
    def revoke(self, partition: int) -> None:
        self.ledger.revoke([partition])
        for begins in self.unsettled.values():
            begins.pop(partition, None)
        assert partition not in self.ledger.committable()

    @invariant()
    def committable_never_passes_an_unsettled_offset(self) -> None:
        for partition, offset in self.ledger.committable().items():
            open_begins = [b[partition] for b in self.unsettled.values() if partition in b]
            assert all(offset <= begin for begin in open_begins)


TestLedger = LedgerMachine.TestCase


def test_a_late_settle_after_revoke_commits_nothing() -> None:
    ledger = OffsetLedger()
    ticket = ledger.track({0: 10, 1: 20})
    ledger.revoke([0])
    ledger.settle(ticket)
    assert ledger.committable() == {1: 20}


def test_without_the_revoke_the_same_settle_commits() -> None:
    """Control for the test above."""
    ledger = OffsetLedger()
    ticket = ledger.track({0: 10, 1: 20})
    ledger.settle(ticket)
    assert ledger.committable() == {0: 10, 1: 20}
