from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_vae.core.alerts import AlertEvent
from stream_vae.wire.alert_deduplicator import AlertDeduplicator
from stream_vae.wire.alerts import decode_alert

EVENT = decode_alert((Path(__file__).parents[1] / "golden" / "alert_v1.json").read_bytes())

identities = st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(min_value=0, max_value=3))


def make_event(incident_id: str, sequence: int) -> AlertEvent:
    return replace(EVENT, incident_id=incident_id, sequence=sequence)


@given(st.lists(identities))
def test_each_event_is_new_exactly_once(seen: list[tuple[str, int]]) -> None:
    deduplicator = AlertDeduplicator()
    new = [identity for identity in seen if deduplicator.is_new(make_event(*identity))]
    assert new == list(dict.fromkeys(seen))


def test_a_replay_of_whole_incidents_is_told() -> None:
    deduplicator = AlertDeduplicator(max_remembered=6)
    incidents = [make_event(name, sequence) for name in "ab" for sequence in range(3)]
    assert all(deduplicator.is_new(event) for event in incidents)
    assert not any(deduplicator.is_new(event) for event in incidents * 2)
    assert deduplicator.is_new(make_event("a", 3))


def test_memory_is_bounded_and_forgets_what_was_seen_longest_ago() -> None:
    deduplicator = AlertDeduplicator(max_remembered=2)
    for sequence in range(2):
        assert deduplicator.is_new(make_event("a", sequence))
    assert not deduplicator.is_new(make_event("a", 0))
    assert deduplicator.is_new(make_event("a", 2))
    assert len(deduplicator) == 2
    assert not deduplicator.is_new(make_event("a", 0))
    assert deduplicator.is_new(make_event("a", 1))


def test_a_memory_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 1 or more"):
        AlertDeduplicator(max_remembered=0)
