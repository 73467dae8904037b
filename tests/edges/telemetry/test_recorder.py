"""Each event has a log line, a metric, or both; nothing floods, nothing is lost uncounted."""

import dataclasses
import threading
from collections.abc import Callable, Mapping
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Metric

from stream_vae import events
from stream_vae.edges.telemetry.event_log import EventLog
from stream_vae.edges.telemetry.forward_recorder import ForwardRecorder
from stream_vae.edges.telemetry.recorder import Recorder
from stream_vae.edges.telemetry.repeats import MAX_KINDS

KINDS: tuple[type[events.Event], ...] = get_args(events.Event)
# What happens with every poll: counted, and told by the summary alone.
QUIET = {
    events.SeriesCounted,
    events.InstanceObserved,
    events.RecordsConsumed,
    events.LinesRead,
    events.SessionsClosed,
    events.StreamMeasured,
    events.ReadingsJudged,
    events.WindowsScored,
    events.TransactionCommitted,
    events.AlertsResent,
    events.ForwarderObserved,
}
FORWARDED: tuple[type[events.Event], ...] = get_args(events.ForwardEvent)
PERIOD_S = 60.0
DETECTOR = "pumps"
# The labels of one metric may take this many values at most, whatever the stream holds.
LABELS = {
    "kind",
    *("topic", "reason", "stage", "verdict", "device", "status", "severity", "result", "event"),
    *("partition", "version", "instance_id", "model_id", "model_version", "le", "detector"),
    *("feature", "of", "loop", "condition", "bound", "receiver"),
}

Line = tuple[str, str, dict[str, Any]]


class Lines:
    """A logger that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[Line] = []

    def debug(self, event: str, **fields: Any) -> None:
        self.lines.append(("debug", event, fields))

    def info(self, event: str, **fields: Any) -> None:
        self.lines.append(("info", event, fields))

    def warning(self, event: str, **fields: Any) -> None:
        self.lines.append(("warning", event, fields))

    def error(self, event: str, **fields: Any) -> None:
        self.lines.append(("error", event, fields))

    def named(self, name: str) -> list[dict[str, Any]]:
        return [fields for _, event, fields in self.lines if event == name]


class Bench:
    """A daemon's recorder with a clock that stands still until moved; beside it a forwarder's."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.log = Lines()
        self.registry = CollectorRegistry()
        self.recorder = Recorder(
            self.registry,
            self.log,
            detector=DETECTOR,
            summary_period_s=PERIOD_S,
            clock=lambda: self.now,
        )
        self.registry_of_forwarder = CollectorRegistry()
        self.forwarder = ForwardRecorder(
            self.registry_of_forwarder,
            self.log,
            detector=DETECTOR,
            receiver="slack",
            summary_period_s=PERIOD_S,
            clock=lambda: self.now,
        )

    def record(self, *happened: events.Event) -> None:
        for event in happened:
            of_forwarder = type(event) in FORWARDED
            recorder: EventLog = self.forwarder if of_forwarder else self.recorder
            recorder.record(event)

    def families(self) -> list[Metric]:
        """All of our metrics."""
        found = [*self.registry.collect(), *self.registry_of_forwarder.collect()]
        return [family for family in found if family.name.startswith("stream_vae_")]

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.recorder.tick()

    def metric(self, name: str, **labels: str) -> float | None:
        labels = {"detector": DETECTOR, **labels}
        return self.registry.get_sample_value(f"stream_vae_{name}", labels)

    def samples(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """All of our metrics, less when they were created."""
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families()
            for sample in family.samples
            if not sample.name.endswith("_created")
        }


VALUES: Mapping[Any, Any] = {
    str: "x",
    int: 3,
    float: 0.5,
    float | None: 0.5,
    tuple[int, ...]: (0, 1),
    tuple[int | None, ...]: (0, None),
    bool: False,
    tuple[str, ...]: ("x", "y"),
    tuple[float, ...]: (0.5, float("nan")),
    Mapping[str, object]: {"a": 1},
    Mapping[int, int]: {0: 3},
    Mapping[int, float]: {0: 3.5},
    Mapping[str, float]: {"poll": 3.5},
    Mapping[str, int]: {"flow": 2},
    Mapping[str, str]: {"flow": "flow_rate"},
    str | None: "x",
    int | None: 3,
    BaseException: ValueError(3),
    BaseException | None: None,
}


def make_event(kind: Callable[..., events.Event], /, **overrides: Any) -> events.Event:
    values = {name: VALUES[hint] for name, hint in get_type_hints(kind).items()}
    return kind(**{**values, **overrides})


ASSIGNED = make_event(events.PartitionsAssigned)


def rejected(count: int, reason: str = "not_json", offset: int = 0) -> events.Event:
    return make_event(events.RecordsRejected, reason=reason, count=count, example_offset=offset)


# Every event


def test_every_event_has_a_face() -> None:
    bench = Bench()
    assert bench.recorder.events_known == set(KINDS) - set(FORWARDED)
    known = bench.forwarder.events_known
    assert known >= set(FORWARDED)
    for kind in sorted(known, key=lambda kind: kind is events.DaemonStopped):
        bench.forwarder.record(make_event(kind))
    told = {name for _, name, _ in bench.log.lines}
    assert len(told - {"summary"}) == len(known - QUIET), "a line for each"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_event_changes_a_metric_or_writes_a_line(kind: type[events.Event]) -> None:
    bench = Bench()
    bench.record(ASSIGNED)
    before, lines = bench.samples(), len(bench.log.lines)
    bench.record(make_event(kind))
    has_line = len(bench.log.lines) > lines
    assert has_line is (kind not in QUIET)
    assert has_line or bench.samples() != before


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind not in QUIET], ids=lambda kind: kind.__name__
)
def test_a_line_is_called_after_its_event_and_carries_its_fields(kind: type[events.Event]) -> None:
    bench = Bench()
    event = make_event(kind)
    bench.record(event)
    _, name, told = bench.log.lines[-1]
    assert name.replace("_", "") == kind.__name__.lower()
    assert name.count("_") == sum(letter.isupper() for letter in kind.__name__) - 1
    for field in dataclasses.fields(event):
        assert told[field.name] == getattr(event, field.name)


def test_a_thousand_quiet_events_write_no_line() -> None:
    bench = Bench()
    for kind in QUIET:
        bench.record(*[make_event(kind)] * 250)
    assert bench.log.lines == []
    assert bench.metric("windows_scored_total") == 750.0


# Metrics


def test_metric_names_follow_the_conventions() -> None:
    bench = Bench()
    bench.record(ASSIGNED, *[make_event(kind) for kind in KINDS])
    assert len(bench.families()) > 20
    for family in bench.families():
        assert family.documentation.endswith(".")
        names = {sample.name for sample in family.samples}
        assert family.type != "counter" or f"{family.name}_total" in names
        assert family.type == "counter" or not family.name.endswith("_total")
        assert not family.name.endswith(("_ms", "_milliseconds", "_us"))
        assert {label for sample in family.samples for label in sample.labels} <= LABELS


def test_every_metric_names_its_detector() -> None:
    """Dashboards of several daemons tell them apart by it; added later, it would break them."""
    bench = Bench()
    bench.record(ASSIGNED, *[make_event(kind) for kind in KINDS])
    assert len(bench.samples()) > 100
    for name, labels in bench.samples():
        assert dict(labels).get("detector") == DETECTOR, name


def test_no_label_is_one_that_prometheus_sets_itself() -> None:
    """A scraped `instance` or `job` would come out as `exported_instance`."""
    bench = Bench()
    bench.record(ASSIGNED, *[make_event(kind) for kind in KINDS])
    names = {name for _, pairs in bench.samples() for name, _ in pairs}
    assert "instance_id" in names
    assert not names & {"instance", "job"}


def test_no_metric_is_labelled_by_series() -> None:
    """Labels per key would let the stream decide how much memory the metrics take."""
    bench = Bench()
    bench.record(make_event(events.AlertDelivered, series="pump-7", incident_id="i-9"))
    bench.record(make_event(events.ThresholdReleased, series="pump-7"))
    bench.record(make_event(events.ReadingsLate, example_series="pump-7"))
    bench.record(make_event(events.UnknownFieldsIgnored, fields=("pump-7",)))
    labels = {value for _, pairs in bench.samples() for _, value in pairs}
    assert "x" in labels
    assert not labels & {"pump-7", "i-9"}


def test_known_label_values_are_there_before_their_first_event() -> None:
    """A counter that appears with its first event hides that event from rate()."""
    bench = Bench()
    for kind in ("anomaly", "silence"):
        known = {"status": "firing", "severity": "critical", "kind": kind}
        assert bench.metric("alerts_total", **known) == 0.0
    assert bench.metric("alerts_total", status="resolved", severity="info", kind="drift") == 0.0
    assert bench.metric("readings_judged_total", verdict="anomalous") == 0.0
    assert bench.metric("transactions_total", result="aborted") == 0.0
    assert bench.metric("alerts_total", status="firing", severity="info", kind="drift") is None


def test_a_drift_is_not_counted_as_a_resolved_incident() -> None:
    """An absorbed incident gives two resolved events; one of them ends it."""
    bench = Bench()
    for kind in ("anomaly", "drift"):
        bench.record(
            make_event(events.AlertDelivered, status="resolved", severity="info", kind=kind)
        )
        counted = {"status": "resolved", "severity": "info", "kind": kind}
        assert bench.metric("alerts_total", **counted) == 1.0


def test_counts_add_up() -> None:
    bench = Bench()
    judged = {"normal": 5, "anomalous": 1, "warming_up": 2, "unscorable": 0}
    bench.record(*[make_event(events.ReadingsJudged, **judged, score_margins=(-1.0, 2.0))] * 3)
    bench.record(rejected(4), rejected(1, "no_key"), rejected(2))
    assert bench.metric("readings_judged_total", verdict="normal") == 15.0
    assert bench.metric("readings_judged_total", verdict="unscorable") == 0.0
    assert bench.metric("records_rejected_total", topic="x", reason="not_json") == 6.0
    assert bench.metric("score_margin_count") == 6.0
    assert bench.metric("score_margin_bucket", le="0.0") == 3.0


def test_rates_are_told_as_asked_and_as_realised_since_the_start() -> None:
    """Control: what nothing asks for has no value to compare with."""
    bench = Bench()
    judged = {"normal": 97, "anomalous": 3, "incidents_opened": 1, "step_s": 60.0}
    bench.record(
        *[make_event(events.ReadingsJudged, **judged, above_asked=0.02, incidents_asked=None)] * 2
    )
    assert bench.metric("readings_above_threshold_ratio", of="asked") == 0.02
    assert bench.metric("readings_above_threshold_ratio", of="realised") == 0.03
    assert bench.metric("incidents_per_series_second", of="asked") is None
    assert bench.metric("incidents_per_series_second", of="realised") == 2 / (200 * 60)
    assert bench.metric("incidents_opened_total") == 2.0


def test_margins_that_are_no_numbers_are_left_out() -> None:
    bench = Bench()
    margins = (float("nan"), float("inf"), 1.0)
    bench.record(make_event(events.ReadingsJudged, score_margins=margins))
    assert bench.metric("score_margin_count") == 1.0
    assert bench.metric("score_margin_bucket", le="0.5") == 0.0
    assert bench.metric("score_margin_bucket", le="1.0") == 1.0


def test_many_margins_are_sampled_evenly() -> None:
    bench = Bench()
    margins = tuple([-1.0, 1.0, 1.0, 1.0] * 16)
    bench.record(make_event(events.ReadingsJudged, score_margins=margins))
    assert bench.metric("score_margin_count") == 16.0


def test_lag_is_shown_for_the_partitions_held_only() -> None:
    bench = Bench()
    bench.record(ASSIGNED)
    bench.record(make_event(events.TransactionCommitted, lag_records={0: 3, 1: 4, 2: 5}))
    assert bench.metric("consumer_lag_records", topic="x", partition="0") == 3.0
    assert bench.metric("consumer_lag_records", topic="x", partition="2") is None
    bench.record(make_event(events.PartitionsRevoked, partitions=(0,)))
    assert bench.metric("consumer_lag_records", topic="x", partition="0") is None
    assert bench.metric("consumer_lag_records", topic="x", partition="1") == 4.0
    assert bench.metric("partitions_assigned") == 1.0


def test_a_late_commit_does_not_bring_a_lost_partition_back() -> None:
    bench = Bench()
    committed = make_event(events.TransactionCommitted, lag_records={0: 3})
    bench.record(ASSIGNED, committed, make_event(events.PartitionsLost, partitions=(0,)), committed)
    assert bench.metric("consumer_lag_records", topic="x", partition="0") is None


def test_broker_and_pause_gauges_follow() -> None:
    bench = Bench()
    assert bench.metric("broker_reachable") == 1.0
    bench.record(make_event(events.BrokerUnreachable), make_event(events.ConsumptionPaused))
    assert (bench.metric("broker_reachable"), bench.metric("consumption_paused")) == (0.0, 1.0)
    bench.record(make_event(events.BrokerReached), make_event(events.ConsumptionResumed))
    assert (bench.metric("broker_reachable"), bench.metric("consumption_paused")) == (1.0, 0.0)


def test_any_thread_may_record() -> None:
    bench = Bench()
    event = make_event(events.WindowsScored, windows=1)
    threads = [threading.Thread(target=bench.record, args=[event] * 500) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert bench.metric("windows_scored_total") == 2000.0
    bench.wait(PERIOD_S)
    assert bench.log.named("summary")[0]["windows"] == 2000


# Summary


def test_the_summary_tells_the_period() -> None:
    bench = Bench()
    bench.record(ASSIGNED)
    times = [0.001 * n for n in range(1, 101)]
    for seconds in times:
        bench.record(make_event(events.WindowsScored, windows=6, inference_s=seconds))
    bench.record(make_event(events.RecordsConsumed, records=900))
    judged = {"normal": 878, "anomalous": 7, "warming_up": 5, "unscorable": 8, "late": 2}
    bench.record(make_event(events.ReadingsJudged, **judged))
    bench.record(make_event(events.SeriesCounted, series=12, incidents_open=1))
    bench.record(rejected(3), make_event(events.AlertDelivered))
    bench.record(
        make_event(
            events.TransactionCommitted,
            dead_letters=3,
            late=2,
            lag_records={0: 40, 1: 2},
        )
    )
    bench.wait(PERIOD_S)
    (told,) = bench.log.named("summary")
    assert told == {
        "period_s": 60.0,
        "records": 900,
        "readings": 900,
        "windows": 600,
        "anomalous": 7,
        "warming_up": 5,
        "unscorable": 8,
        "alerts": 1,
        "rejected": 3,
        "dead_letters": 3,
        "late": 2,
        "pauses": 0,
        "transactions": 1,
        "series_active": 12,
        "incidents_open": 1,
        "lag_records": 42,
        "windows_per_second": 10.0,
        "inference_p50_s": pytest.approx(0.051),
        "inference_p99_s": pytest.approx(0.100),
    }


def test_there_is_one_summary_a_period_and_each_counts_anew() -> None:
    bench = Bench()
    bench.record(make_event(events.RecordsConsumed, records=5))
    bench.wait(59.9)
    assert bench.log.named("summary") == []
    bench.wait(0.1)
    bench.wait(0.0)
    bench.record(make_event(events.RecordsConsumed, records=7))
    bench.wait(60.0)
    assert [told["records"] for told in bench.log.named("summary")] == [5, 7]


def test_what_stands_still_is_told_again_in_the_next_summary() -> None:
    """Series and incidents are what there is, not what happened."""
    bench = Bench()
    bench.record(make_event(events.SeriesCounted, series=12, incidents_open=2))
    bench.wait(60.0)
    bench.wait(60.0)
    second = bench.log.named("summary")[1]
    assert (second["series_active"], second["incidents_open"], second["readings"]) == (12, 2, 0)


def test_a_period_without_windows_has_no_inference_times() -> None:
    bench = Bench()
    bench.wait(60.0)
    told = bench.log.named("summary")[0]
    assert told["inference_p50_s"] is None
    assert told["windows_per_second"] == 0.0


def test_stopping_tells_the_rest_first() -> None:
    bench = Bench()
    bench.record(make_event(events.DaemonStarted))
    bench.record(rejected(1), rejected(2), make_event(events.RecordsConsumed, records=5))
    bench.now += 1.0
    bench.record(make_event(events.DaemonStopped))
    assert [name for _, name, _ in bench.log.lines] == [
        "daemon_started",
        "records_rejected",
        "records_rejected",
        "summary",
        "daemon_stopped",
    ]
    assert [told["count"] for told in bench.log.named("records_rejected")] == [1, 2]
    assert bench.log.named("summary")[0]["records"] == 5


def test_a_daemon_that_never_started_has_nothing_to_sum_up() -> None:
    bench = Bench()
    bench.record(make_event(events.DaemonFailed), make_event(events.DaemonStopped))
    assert [name for _, name, _ in bench.log.lines] == ["daemon_failed", "daemon_stopped"]


def test_what_led_to_a_failure_comes_before_it_and_the_end_comes_last() -> None:
    bench = Bench()
    away = make_event(events.BrokerUnreachable)
    bench.record(away, away, make_event(events.DaemonFailed))
    bench.record(make_event(events.DaemonStopped), away, make_event(events.LibraryLogged))
    bench.wait(PERIOD_S)
    assert [name for _, name, _ in bench.log.lines] == [
        "broker_unreachable",
        "broker_unreachable",
        "daemon_failed",
        "daemon_stopped",
    ]


# Libraries


def connect_failure(port: int, library: str = "rdkafka") -> events.Event:
    message = f"Connect to b:{port} failed: refused (after {port % 7}ms)"
    return make_event(events.LibraryLogged, library=library, message=message, level="error")


def test_repeated_lines_of_libraries_are_held_back_and_each_is_counted() -> None:
    """An outage: a client tells of every failed attempt, each with another port and duration."""
    bench = Bench()
    for n in range(1200):
        bench.record(connect_failure(9000 + n))
        bench.wait(0.1)
    bench.record(connect_failure(1, library="other"))
    bench.record(make_event(events.DaemonStopped))
    told = bench.log.named("library_logged")
    counts = {
        library: [line["count"] for line in told if line["library"] == library]
        for library in ("rdkafka", "other")
    }
    assert sum(counts["rdkafka"]) == 1200
    assert len(counts["rdkafka"]) <= 1 + 120 / PERIOD_S + 1
    assert counts["other"] == [1]


def test_other_lines_of_libraries_are_not_held_back() -> None:
    """Control for the test above: another message, another level."""
    bench = Bench()
    bench.record(connect_failure(9092), connect_failure(9093))
    bench.record(make_event(events.LibraryLogged, level="warning", message="connected again"))
    bench.record(make_event(events.LibraryLogged, level="error", message="connected again"))
    assert [(level, told["count"]) for level, _, told in bench.log.lines] == [
        ("error", 1),
        ("warning", 1),
        ("error", 1),
    ]


def test_kinds_without_end_take_bounded_memory_and_lines_and_are_still_counted() -> None:
    bench = Bench()
    for n in range(5000):
        message = "".join(chr(ord("a") + int(digit)) for digit in str(n))
        bench.record(make_event(events.LibraryLogged, level="error", message=message))
    bench.record(make_event(events.DaemonStopped))
    told = bench.log.named("library_logged")
    assert sum(line["count"] for line in told) == 5000
    assert len(told) <= MAX_KINDS + 2


# Repeated warnings


def test_the_first_of_a_kind_is_told_at_once_and_the_rest_as_a_count() -> None:
    bench = Bench()
    bench.record(rejected(2, offset=10), rejected(3, offset=11), rejected(4, offset=12))
    assert [told["count"] for told in bench.log.named("records_rejected")] == [2]
    bench.wait(60.0)
    first, second = bench.log.named("records_rejected")
    assert (first["count"], first["example_offset"]) == (2, 10)
    assert (second["count"], second["example_offset"]) == (7, 12)


def test_kinds_are_told_apart_by_their_reason() -> None:
    bench = Bench()
    bench.record(rejected(1, "not_json"), rejected(1, "no_key"), rejected(1, "not_json"))
    assert [told["reason"] for told in bench.log.named("records_rejected")] == [
        "not_json",
        "no_key",
    ]


def test_after_a_quiet_period_the_next_is_told_at_once() -> None:
    bench = Bench()
    bench.record(rejected(1))
    bench.wait(60.0)
    assert len(bench.log.named("records_rejected")) == 1
    bench.record(rejected(1))
    assert len(bench.log.named("records_rejected")) == 2


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b"]), st.integers(1, 5), st.floats(0, 40, allow_nan=False)
        ),
        max_size=40,
    )
)
def test_repeated_warnings_are_few_and_complete(
    happened: list[tuple[str, int, float]],
) -> None:
    """At most one line a reason and period, and together they count each rejection once."""
    bench = Bench()
    began = bench.now
    for reason, count, pause in happened:
        bench.record(rejected(count, reason))
        bench.wait(pause)
    n_periods = (bench.now - began) / PERIOD_S
    bench.record(make_event(events.DaemonStopped))
    told = bench.log.named("records_rejected")
    for reason in ("a", "b"):
        lines = [line["count"] for line in told if line["reason"] == reason]
        assert sum(lines) == sum(count for kind, count, _ in happened if kind == reason)
        assert len(lines) <= n_periods + 2


@pytest.mark.parametrize(
    ("event", "level"),
    [
        (make_event(events.IncidentsNotLookedFor, is_first=True), "info"),
        (make_event(events.IncidentsNotLookedFor, is_first=False), "warning"),
        (make_event(events.StateRestored, series_discarded=0, mismatch=""), "info"),
        (make_event(events.StateRestored, series_discarded=3, mismatch=""), "warning"),
        (make_event(events.StateRestored, series_discarded=3, mismatch="set_back"), "info"),
    ],
    ids=["first start", "later start", "all restored", "unfit", "unfit as told already"],
)
def test_what_is_to_be_expected_is_no_warning(event: events.Event, level: str) -> None:
    bench = Bench()
    bench.record(event)
    [line] = bench.log.lines
    assert line[0] == level


def test_mismatches_are_counted_by_partition() -> None:
    bench = Bench()
    bench.record(make_event(events.OffsetMismatched, reason="set_back", count=8))
    assert bench.metric("offset_mismatches_total", reason="set_back") == 8
