"""What the stream holds cannot take over a receiver: mentions, links, names and lengths."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from stream_vae.core.alerts import AlertSeries
from stream_vae.wire.receivers.alertmanager import alertmanager_alert
from stream_vae.wire.receivers.grafana import grafana_annotation
from stream_vae.wire.receivers.pagerduty import pagerduty_event
from stream_vae.wire.receivers.slack import slack_message
from tests.forwarding.bench import EVENT, opened, resolved

NOW = datetime(2026, 4, 27, 14, tzinfo=UTC)
NASTY = "<!channel> <https://x.org|click> <b>&\x1b[2J\n" + "x" * 5_000
HOSTILE = replace(
    opened("p1"),
    series=AlertSeries(key=NASTY[:900], labels={"cost centre": NASTY, "alertname": "mine"}),
    summary=NASTY[:500],
    incident_id=NASTY[:300],
    links={
        "run|book": "https://x.org/<!here>",
        "bad": "javascript:alert(1)",
        "ok": "https://o.org",
    },
)


def test_slack_is_told_no_mention_and_no_link_of_the_stream() -> None:
    text = json.dumps(slack_message(HOSTILE))
    assert "<!" not in text
    assert "<https://x.org" not in text
    assert "javascript" not in text
    assert "<https://o.org|ok>" in text, "control: a link of the operator"
    assert "\\u001b" not in text


def test_alertmanagers_labels_are_bounded_and_not_the_streams_to_choose() -> None:
    alert = alertmanager_alert(HOSTILE, now=NOW, fires_until=NOW + timedelta(minutes=4), labels={})
    labels = alert["labels"]
    assert labels["alertname"] == "StreamVaeAnomaly"
    assert all(len(value) <= 200 and value.isprintable() for value in labels.values())
    assert "cost_centre" in labels
    assert alert["generatorURL"] == "https://o.org"
    other = replace(HOSTILE, series=replace(HOSTILE.series, key=NASTY[:901]))
    found = alertmanager_alert(other, now=NOW, fires_until=NOW, labels={})["labels"]
    assert found["series"] != labels["series"], "cut, and still another"
    score = replace(HOSTILE, score=99.0, sequence=1, incident_id="other")
    assert alertmanager_alert(score, now=NOW, fires_until=NOW, labels={})["labels"] == labels


def test_times_ahead_of_the_clock_end_now_and_a_drift_fires_for_a_while() -> None:
    ahead = replace(resolved("p1"), starts_at=NOW + timedelta(hours=1), ends_at=NOW + timedelta(9))
    alert = alertmanager_alert(ahead, now=NOW, fires_until=NOW + timedelta(minutes=4), labels={})
    assert alert["startsAt"] == alert["endsAt"] == "2026-04-27T14:00:00Z"
    drift = replace(resolved("p1"), kind="drift", severity="info")
    alert = alertmanager_alert(drift, now=NOW, fires_until=NOW + timedelta(minutes=4), labels={})
    assert alert["endsAt"] == "2026-04-27T14:04:00Z"


def test_pagerduty_and_grafana_are_told_within_their_bounds() -> None:
    request = pagerduty_event(HOSTILE, routing_key="R", labels={})
    assert len(request["dedup_key"]) <= 255
    assert len(request["payload"]["summary"]) <= 1024
    assert len(request["payload"]["source"]) <= 1024
    assert [link["href"] for link in request["links"]] == ["https://o.org"]
    annotation = grafana_annotation(HOSTILE, {"team": "water"})
    assert "<b>" not in annotation["text"]
    assert len(",".join(annotation["tags"])) <= 500
    assert "team:water" in annotation["tags"]
    assert "timeEnd" not in annotation
    region = grafana_annotation(resolved("p1"), {})
    assert region["timeEnd"] - region["time"] == 3_600_000


@pytest.mark.parametrize("status", ["firing", "resolved"])
def test_pagerduty_resolves_by_the_key_it_was_triggered_with(status: str) -> None:
    event = EVENT if status == "firing" else replace(resolved("x"), incident_id=EVENT.incident_id)
    request = pagerduty_event(event, routing_key="R", labels={})
    assert request["dedup_key"] == EVENT.incident_id
    assert ("payload" in request) is (status == "firing")
