"""Alert events reach a receiver at least once, in order, over outages, crashes and rebalances."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from stream_vae.core.alerts import AlertEvent
from stream_vae.core.records import OutputRecord
from stream_vae.events import (
    AlertForwarded,
    AlertsCaughtUp,
    AlertsPassedOver,
    AlertsResent,
    AlertsSkipped,
    AlertUndeliverable,
    ForwardingFailed,
)
from stream_vae.forwarding.exchange import Response
from stream_vae.forwarding.receivers import (
    AlertmanagerReceiver,
    GrafanaReceiver,
    PagerDutyReceiver,
    Receiver,
    SlackReceiver,
    WebhookReceiver,
)
from stream_vae.wire.dead_letters import read_dead_letter
from tests.forwarding.bench import (
    ALERTS,
    DEAD_LETTERS,
    GROUP,
    PLAN,
    Bench,
    Forwarder,
    opened,
    resolved,
    risen,
)
from tests.forwarding.stand_ins import (
    KEY,
    Alertmanager,
    Grafana,
    PagerDuty,
    Slack,
    StandIn,
    Webhook,
)
from tests.memory_kafka.partition_log import Entry

RECEIVERS: dict[str, tuple[type[StandIn], Callable[[StandIn], Receiver]]] = {
    "alertmanager": (
        Alertmanager,
        lambda at: AlertmanagerReceiver(exchange=at, resend_after_s=60.0),
    ),
    "webhook": (Webhook, lambda at: WebhookReceiver(exchange=at, keys=(KEY,))),
    "slack": (Slack, lambda at: SlackReceiver(exchange=at)),
    "pagerduty": (PagerDuty, lambda at: PagerDutyReceiver(exchange=at, routing_key="R" * 32)),
    "grafana": (Grafana, lambda at: GrafanaReceiver(exchange=at)),
}


def webhook(bench: Bench) -> tuple[Webhook, Receiver]:
    stand_in = Webhook(bench.clock)
    return stand_in, WebhookReceiver(exchange=stand_in, keys=(KEY,))


def alertmanager(bench: Bench) -> tuple[Alertmanager, Receiver]:
    stand_in = Alertmanager(bench.clock)
    return stand_in, AlertmanagerReceiver(exchange=stand_in, resend_after_s=60.0)


@pytest.mark.parametrize("kind", RECEIVERS)
def test_each_receiver_is_told_of_an_incident_in_order_over_an_outage(kind: str) -> None:
    bench = Bench()
    stand_in = RECEIVERS[kind][0](bench.clock)
    stand_in.plan += [None, Response(status=503), Response(status=429, retry_after="7")]
    forwarder = Forwarder(bench, RECEIVERS[kind][1](stand_in), PLAN)
    bench.publish(opened("p1"), opened("p2"), risen("p1"))
    bench.turn_until(bench.is_committed, forwarder)
    assert stand_in.fires() == {"p1", "p2"}
    assert bench.clock.monotonic() > 1008, "control: it waited as it was asked to"
    bench.publish(resolved("p1"))
    bench.turn_until(bench.is_committed, forwarder)
    assert stand_in.fires() == {"p2"}
    own = [line for line in stand_in.told() if line.startswith("p1")]
    if kind == "alertmanager":  # there, what becomes more severe is another alert
        own.remove("p1 warning resolved")
    assert own == ["p1 warning firing", "p1 critical firing", "p1 critical resolved"]
    assert bench.dead_letters() == []


def test_a_crash_at_any_step_loses_nothing_and_repeats_under_the_same_key_alone() -> None:
    events = [opened("p1"), risen("p1"), opened("p2"), resolved("p1"), opened("p3")]
    n_repeated = 0
    for step in range(40):
        bench = Bench()
        stand_in, receiver = webhook(bench)
        bench.publish(*events)
        first = Forwarder(bench, receiver, PLAN)
        first.faults.crash_in = step
        if not first.lives(20):
            first.die()
        second = Forwarder(bench, receiver, PLAN, name="b")
        bench.turn_until(bench.is_committed, second)
        keys = [key for key, _ in stand_in.taken]
        assert list(dict.fromkeys(keys)) == [f"{e.incident_id}.{e.sequence}" for e in events]
        n_repeated += len(keys) - len(set(keys))
        assert stand_in.fires() == {"p2", "p3"}
    assert n_repeated, "control: some crashes lie between delivery and commit"


def test_what_fires_is_told_to_alertmanager_again_also_after_a_restart_and_nothing_else_is() -> (
    None
):
    bench = Bench()
    stand_in, receiver = alertmanager(bench)
    first = Forwarder(bench, receiver, PLAN)
    bench.publish(opened("p1"), opened("p2"), risen("p2"), resolved("p2"))
    bench.turn_until(bench.is_committed, first)
    for _ in range(10):
        first.turn(60)
        bench.clock.sleep(54.0)
    assert stand_in.fires() == {"p1"}, "after ten minutes"
    first.die()
    bench.clock.sleep(1000.0)
    assert stand_in.fires() == set(), "control: nobody tells it"
    n_told = len(stand_in.told())
    second = Forwarder(bench, receiver, PLAN, name="b")
    second.turn(3)
    assert stand_in.fires() == {"p1"}, "at once"
    assert stand_in.told()[n_told:] == ["p1 warning firing"]
    assert second.events.of(AlertForwarded) == [], "what was delivered is not delivered again"


def test_what_fires_is_told_again_a_batch_at_a_time_and_what_ended_meanwhile_is_not() -> None:
    bench = Bench()
    stand_in, receiver = alertmanager(bench)
    forwarder = Forwarder(bench, receiver, PLAN)
    names = [f"p{n}" for n in range(250)]
    bench.publish(*map(opened, names))
    bench.turn_until(bench.is_committed, forwarder)
    forwarder.turn(5)  # the round of the start
    bench.clock.sleep(60.0)
    del stand_in.requests[:]
    forwarder.turn(1)
    assert stand_in.requests == [100]
    bench.publish(resolved("p150"), resolved("p249"), opened("new"))
    forwarder.turn(1)
    assert stand_in.requests[1:] == [2, 2, 1, 100], "events are told between two batches"
    stand_in.plan += [Response(status=503)]
    forwarder.turn(1)
    assert len(forwarder.events.of(ForwardingFailed)) == 1
    forwarder.turn(50)
    assert stand_in.requests[5:] == [48], "told once that the receiver is back, and no other"
    assert stand_in.fires() == {*names, "new"} - {"p150", "p249"}
    assert forwarder.loop.readiness().status == "ok"


def test_partitions_that_move_take_what_fires_with_them() -> None:
    bench = Bench(partitions=2)
    stand_in, receiver = alertmanager(bench)
    first = Forwarder(bench, receiver, PLAN)
    bench.publish(opened("p0"), partition=0)
    bench.publish(opened("p1"), partition=1)
    bench.turn_until(bench.is_committed, first)
    second = Forwarder(bench, receiver, PLAN, name="b")
    for _ in range(20):
        first.turn(1)
        second.turn(1)
    status = first.loop.status(), second.loop.status()
    places = [list(dict(one["partitions"]).values()) for one in status]  # type: ignore[call-overload]
    assert places == [[{"next_offset": 1, "is_current": True}]] * 2
    assert [seen["firing"] for seen in status] == [1, 1]
    bench.publish(resolved("p0"), partition=0)
    bench.publish(resolved("p1"), partition=1)
    bench.turn_until(bench.is_committed, first, second)
    assert stand_in.fires() == set()
    assert len(stand_in.told()) == 4, "each told once that it opened and once that it is over"


def test_what_a_receiver_refuses_is_a_dead_letter_and_redriven_is_for_that_receiver_alone() -> None:
    bench = Bench()
    stand_in, receiver = webhook(bench)
    other, of_other = webhook(bench)
    forwarder = Forwarder(bench, receiver, PLAN)
    beside = Forwarder(bench, of_other, replace(PLAN, group="other"), name="c")
    stand_in.plan += [Response(status=422, body=b"no such tenant")]
    bench.publish(opened("p1"), b"no alert", risen("p1"))
    bench.turn_until(
        lambda: bench.is_committed() and bench.is_committed("other"), forwarder, beside
    )
    assert [key for key, _ in stand_in.taken] == ["p1-0.1"]
    letters = [(entry, read_dead_letter(entry.headers)) for entry in bench.dead_letters()]
    reasons = [letter.reason for _, letter in letters if letter]
    assert sorted(reasons) == ["not_an_alert", "not_an_alert", "receiver_refused"]
    entry, letter = next((e, one) for e, one in letters if one and one.reason == "receiver_refused")
    assert letter.detail == "HTTP 422: no such tenant"
    assert (letter.source_topic, letter.source_partition) == (ALERTS, 0)
    redrive(bench, entry.value, letter.redriven_headers())
    n_other = len(other.taken)
    bench.turn_until(
        lambda: bench.is_committed() and bench.is_committed("other"), forwarder, beside
    )
    assert len(other.taken) == n_other
    assert [key for key, _ in stand_in.taken] == ["p1-0.1"], "a later event of it was told"
    (passed,) = forwarder.events.of(AlertsPassedOver)
    assert (passed.reason, passed.example_incident_id) == ("later_event_told", "p1-0")
    assert {one.reason for one in beside.events.of(AlertsPassedOver)} == {"for_another_group"}


@pytest.mark.parametrize("polled", [1, 500])
@pytest.mark.parametrize("restarts", ["never", "before", "after"])
def test_what_was_refused_does_not_count_as_told_when_what_came_before_it_is_redriven(
    restarts: str, polled: int
) -> None:
    bench = Bench()
    stand_in, receiver = webhook(bench)
    plan = replace(PLAN, poll_records=polled)
    forwarder = Forwarder(bench, receiver, plan)
    stand_in.plan += [Response(status=400)] * 3
    bench.publish(opened("p1"), risen("p1"), resolved("p1"), opened("p2"))
    bench.turn_until(bench.is_committed, forwarder)
    assert [key for key, _ in stand_in.taken] == ["p2-0.0"], "control: refused"
    if restarts == "before":
        forwarder.die()
    redrive_all(bench)
    if restarts == "after":
        forwarder.die()
    if restarts != "never":
        forwarder = Forwarder(bench, receiver, plan, name="b")
        bench.clock.sleep(60.0)
    bench.turn_until(bench.is_committed, forwarder)
    told = [key for key, _ in stand_in.taken]
    assert told == ["p2-0.0", "p1-0.0", "p1-0.1", "p1-0.2"]
    assert forwarder.events.of(AlertsPassedOver) == []


@pytest.mark.parametrize("restarts", [False, True])
def test_what_was_refused_and_then_told_makes_an_older_redriven_event_past(
    *, restarts: bool
) -> None:
    bench = Bench()
    stand_in, receiver = webhook(bench)
    forwarder = Forwarder(bench, receiver, PLAN)
    stand_in.plan += [Response(status=400)] * 2
    bench.publish(opened("p1"), risen("p1"))
    bench.turn_until(bench.is_committed, forwarder)
    first, second = bench.dead_letters()
    redrive_one(bench, second)
    bench.turn_until(bench.is_committed, forwarder)
    if restarts:
        forwarder.die()
        forwarder = Forwarder(bench, receiver, PLAN, name="b")
        bench.clock.sleep(60.0)
    redrive_one(bench, first)
    bench.turn_until(bench.is_committed, forwarder)
    assert [key for key, _ in stand_in.taken] == ["p1-0.1"]
    (passed,) = forwarder.events.of(AlertsPassedOver)
    assert (passed.reason, passed.example_sequence) == ("later_event_told", 0)


def test_what_a_resend_told_at_last_makes_an_older_redriven_event_past() -> None:
    bench = Bench()
    stand_in, receiver = alertmanager(bench)
    forwarder = Forwarder(bench, receiver, PLAN)
    forwarder.turn(3)
    stand_in.plan += [Response(status=400)] * 2
    bench.publish(opened("p1"), risen("p1"))
    bench.turn_until(bench.is_committed, forwarder)
    assert stand_in.told() == [], "control: refused"
    bench.clock.sleep(60.0)
    forwarder.turn(3)
    assert stand_in.told() == ["p1 critical firing"]
    redrive_all(bench)
    bench.turn_until(bench.is_committed, forwarder)
    assert stand_in.fires() == {"p1"}
    assert "p1 warning firing" not in stand_in.told()
    (passed,) = forwarder.events.of(AlertsPassedOver)
    assert (passed.reason, passed.example_sequence) == ("later_event_told", 0)


def test_a_redriven_event_that_rises_ends_the_severity_that_was_told() -> None:
    bench = Bench()
    stand_in, receiver = alertmanager(bench)
    forwarder = Forwarder(bench, receiver, PLAN)
    forwarder.turn(3)
    bench.publish(opened("p1"))
    bench.turn_until(bench.is_committed, forwarder)
    stand_in.plan += [Response(status=400)]
    bench.publish(risen("p1"))
    bench.turn_until(bench.is_committed, forwarder)
    redrive_all(bench)
    bench.turn_until(bench.is_committed, forwarder)
    first, *then = stand_in.told()
    assert first == "p1 warning firing"
    assert sorted(then) == ["p1 critical firing", "p1 warning resolved"]


def test_after_a_restart_a_redriven_event_is_not_taken_for_the_newest_of_its_incident() -> None:
    bench = Bench()
    stand_in, receiver = alertmanager(bench)
    stand_in.plan += [Response(status=400)]
    first = Forwarder(bench, receiver, PLAN)
    bench.publish(opened("p1"), risen("p1"))
    bench.turn_until(bench.is_committed, first)
    redrive_all(bench)
    bench.turn_until(bench.is_committed, first)
    first.die()
    second = Forwarder(bench, receiver, PLAN, name="b")
    bench.clock.sleep(60.0)
    second.turn(5)
    assert [one.count for one in second.events.of(AlertsResent)] == [1]
    assert stand_in.told() == ["p1 critical firing"]


def test_a_receiver_that_refuses_after_it_failed_does_not_fail_any_more() -> None:
    bench = Bench()
    stand_in, receiver = webhook(bench)
    forwarder = Forwarder(bench, receiver, PLAN)
    stand_in.plan += [Response(status=503), Response(status=400)]
    bench.publish(opened("p1"))
    bench.turn_until(lambda: len(bench.dead_letters()) == 1, forwarder)
    forwarder.turn(10)
    assert stand_in.n_requests == 2
    assert forwarder.loop.readiness().status == "ok"


def redrive_all(bench: Bench) -> None:
    for entry in bench.dead_letters():
        redrive_one(bench, entry)


def redrive_one(bench: Bench, entry: Entry) -> None:
    letter = read_dead_letter(entry.headers)
    assert letter is not None
    redrive(bench, entry.value, letter.redriven_headers())


def redrive(bench: Bench, value: bytes | None, headers: list[tuple[str, bytes | None]]) -> None:
    epoch = bench.kafka.register("redrive")
    bench.kafka.begin("redrive", epoch)
    record = OutputRecord(topic=ALERTS, key=b"k", value=value, headers=headers, partition=0)
    bench.kafka.publish("redrive", epoch, record)
    bench.kafka.end("redrive", epoch, commit=True)


def test_an_outage_pauses_the_topic_keeps_the_loop_alive_and_ends_in_dead_letters() -> None:
    bench = Bench()
    stand_in, receiver = webhook(bench)
    stand_in.is_down = True
    plan = replace(PLAN, retry_s=60.0, poll_records=10, max_waiting=20)
    forwarder = Forwarder(bench, receiver, plan)
    bench.publish(*(opened(f"s{i}") for i in range(50)))
    forwarder.turn(100)
    assert forwarder.consumer.paused
    assert forwarder.faults.steps.count("consumer.poll") == 100
    assert forwarder.loop.liveness().is_ok
    readiness = forwarder.loop.readiness()
    assert readiness.status == "degraded"
    assert "connection refused" in readiness.reason
    assert forwarder.loop.status()["waiting"] == 20
    assert stand_in.n_requests < 10, "ever more seldom"
    assert bench.dead_letters() == [], "control: not before its time"
    bench.turn_until(lambda: len(bench.dead_letters()) == 2, forwarder, limit=9_000)
    given_up = forwarder.events.of(AlertUndeliverable)
    assert {one.reason for one in given_up} == {"receiver_unavailable"}
    stand_in.is_down = False
    bench.turn_until(bench.is_committed, forwarder, limit=5_000)
    assert [key for key, _ in stand_in.taken] == [f"s{i}-0.0" for i in range(2, 50)]
    assert not forwarder.consumer.paused


def test_a_group_begins_with_what_comes_next_and_severity_decides_what_is_told() -> None:
    bench = Bench()
    stand_in, receiver = webhook(bench)
    plan = replace(PLAN, start="latest", min_severity="critical")
    bench.publish(risen("before"))
    first = Forwarder(bench, receiver, plan)
    first.turn(1)
    first.turn(1)
    first.die()
    bench.publish(opened("p1"), risen("p1"))
    second = Forwarder(bench, receiver, plan, name="b")
    bench.turn_until(bench.is_committed, second)
    assert [key for key, _ in stand_in.taken] == ["p1-0.1"], "none lost between two starts"


def test_what_a_first_start_skips_is_said_and_what_a_later_one_reads_again_is_not() -> None:
    bench = Bench()
    _, receiver = webhook(bench)
    plan = replace(PLAN, start="latest")
    bench.publish(opened("p1"), resolved("p1"), opened("p2"))
    first = Forwarder(bench, receiver, plan)
    first.turn(5)
    assert bench.is_committed()
    (skipped,) = first.events.of(AlertsSkipped)
    assert (skipped.records, skipped.firing) == (3, 1)
    first.die()
    second = Forwarder(bench, receiver, plan, name="b")
    bench.clock.sleep(60.0)
    second.turn(5)
    assert second.events.of(AlertsSkipped) == []
    (read,) = second.events.of(AlertsCaughtUp)
    assert (read.records, read.firing) == (3, 1)


def test_what_a_first_start_skips_counts_the_events_of_its_own_detectors_alone() -> None:
    bench = Bench()
    _, receiver = webhook(bench)
    bench.publish(*(of_detector(name, opened(name)) for name in ("pumps", "fans", "doors")))
    plan = replace(PLAN, start="latest", detectors=frozenset({"pumps", "fans"}))
    forwarder = Forwarder(bench, receiver, plan)
    forwarder.turn(5)
    (skipped,) = forwarder.events.of(AlertsSkipped)
    assert (skipped.records, skipped.firing) == (2, 2)


@pytest.mark.parametrize("restarts", [True, False])
@pytest.mark.parametrize(("name", "is_past"), [("fans", True), ("pumps", False)])
def test_what_ended_of_another_detector_makes_nothing_forgotten(
    name: str, *, is_past: bool, restarts: bool
) -> None:
    """Control: what ended of its own takes the place of what ended before."""
    bench = Bench()
    _, receiver = webhook(bench)
    plan = replace(PLAN, detectors=frozenset({"pumps"}), max_ended=1)
    forwarder = Forwarder(bench, receiver, plan)
    bench.publish(of_detector("pumps", resolved("p1")), of_detector(name, resolved("x")))
    bench.turn_until(bench.is_committed, forwarder)
    if restarts:
        forwarder.die()
        forwarder = Forwarder(bench, receiver, plan, name="b")
        bench.clock.sleep(60.0)
        forwarder.turn(5)
    bench.publish(of_detector("pumps", opened("p1")))
    bench.turn_until(bench.is_committed, forwarder)
    reasons = [one.reason for one in forwarder.events.of(AlertsPassedOver)]
    assert ("later_event_told" in reasons) == is_past


@pytest.mark.parametrize("apart", [True, False])
def test_detectors_that_share_a_topic_have_forwarders_that_tell_each_event_once(
    *, apart: bool
) -> None:
    bench = Bench(partitions=2 if apart else 1)
    stand_in, receiver = alertmanager(bench)
    forwarders = [
        Forwarder(
            bench, receiver, replace(PLAN, group=name, detectors=frozenset({name})), name=name
        )
        for name in ("pumps", "fans")
    ]
    for number, name in enumerate(("pumps", "fans", "doors")):
        bench.publish(
            *(of_detector(name, event(name)) for event in (opened, risen)),
            partition=number % len(bench.kafka.logs(ALERTS)),
        )
    bench.turn_until(
        lambda: bench.is_committed("pumps") and bench.is_committed("fans"), *forwarders
    )
    told = [[e.series for e in one.events.of(AlertForwarded)] for one in forwarders]
    assert told == [["pumps"] * 2, ["fans"] * 2]
    assert [one.loop.status()["firing"] for one in forwarders] == [1, 1]
    bench.clock.sleep(300.0)
    assert stand_in.fires() == set(), "control: nobody tells it"
    for one in forwarders:
        one.turn(3)
    assert stand_in.fires() == {"pumps", "fans"}, "each told again by its own"
    assert {e.count for one in forwarders for e in one.events.of(AlertsResent)} == {1}


def of_detector(name: str, event: AlertEvent) -> AlertEvent:
    return replace(event, detector=replace(event.detector, name=name))


def test_dead_letters_and_offsets_are_committed_together() -> None:
    bench = Bench()
    stand_in, receiver = webhook(bench)
    bench.publish(b"no alert")
    first = Forwarder(bench, receiver, PLAN)
    first.faults.crash_at = "producer.commit"
    assert not first.lives(20)
    first.die()
    second = Forwarder(bench, receiver, PLAN, name="b")
    bench.clock.sleep(60.0)
    bench.turn_until(bench.is_committed, second)
    assert len(bench.dead_letters()) == 1
    assert bench.kafka.committed(GROUP) == {0: 1}
    assert stand_in.taken == []
    assert [entry.value for _, entry in bench.kafka.read_all(DEAD_LETTERS)] == [b"no alert"]
