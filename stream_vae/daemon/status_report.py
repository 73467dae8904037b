"""What was observed of an instance, as `/statusz` tells it."""

from dataclasses import asdict
from datetime import datetime

from stream_vae.core.health import CONDITIONS
from stream_vae.daemon.conditions import ConditionSources, PartitionStatus
from stream_vae.daemon.observed import Counts, Observed
from stream_vae.pipeline.pipeline import Pipeline


def status_report(
    seen: Observed, topic: str, sources: ConditionSources, *, now: datetime, now_monotonic: float
) -> dict[str, object]:
    """Return it as JSON's values.

    Args:
        seen: The newest observation.
        topic: The input topic.
        sources: Of what holds now.
        now: The time.
        now_monotonic: The same, on the clock of what was seen.
    """
    pipeline = sources.pipeline
    return {
        "observed_at": seen.at.isoformat(timespec="milliseconds"),
        "observed_s_ago": _rounded(now_monotonic - seen.at_monotonic),
        "conditions": [
            {
                "code": one.code,
                "means": CONDITIONS[one.code],
                "detail": one.detail,
                "for_s": _rounded(now_monotonic - seen.since.get(one.code, now_monotonic)),
            }
            for one in sources.current(seen.progress)
        ],
        "partitions": [_partition(one, topic) for one in seen.progress.partitions],
        "detectors": [_detector(pipeline)],
        "series": _series(seen.counts, pipeline),
        "incidents": {
            "open": seen.counts.incidents_open + seen.counts.silences_open,
            "anomaly": seen.counts.incidents_open,
            "silence": seen.counts.silences_open,
        },
        "last_verdict": _last_verdict(seen, pipeline.judged_at, now),
        "input": {
            "records_since_reading": pipeline.unread.records,
            "readings_since_verdict": pipeline.unjudged.readings,
            "readings_in_flight": sources.scoring.readings_in_flight,
            "no_record_s": _rounded(seen.progress.no_record_s),
        },
        "unseen_templates": [asdict(one) for one in seen.unseen],
    }


def _partition(one: PartitionStatus, topic: str) -> dict[str, object]:
    found = {**asdict(one), "topic": topic, "partition": one.number}
    del found["number"]
    found["phase"] = one.phase.value
    for name in ("lag_s", "stalled_s", "restoring_s"):
        found[name] = _rounded(found[name])
    return found


def _detector(pipeline: Pipeline) -> dict[str, object]:
    detector, asked = pipeline.detector, pipeline.asked
    return {
        "model_id": detector.spec.id,
        "model_version": detector.spec.version,
        "trained_at": detector.spec.trained_at.isoformat(),
        "version": detector.version,
        "threshold": detector.method,
        "above_threshold_asked": asked.above,
        "incidents_per_series_second_asked": asked.incidents,
    }


def _series(counts: Counts, pipeline: Pipeline) -> dict[str, object]:
    return {
        "active": counts.series,
        "capacity": pipeline.store.index.capacity,
        "warmed_up": counts.warmed_up,
        "blind": counts.blind,
        "blind_examples": list(counts.blind_examples),
        "in_several_partitions": counts.repeated,
    }


def _last_verdict(seen: Observed, judged: datetime | None, now: datetime) -> object:
    if judged is None:
        return None
    return {
        "at": judged.isoformat(timespec="milliseconds"),
        "s_ago": _rounded((now - judged).total_seconds()),
        "records_since": seen.progress.records_since_verdict,
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
