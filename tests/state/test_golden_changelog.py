"""State that version 1 of the changelog holds, restored and carried on."""

import base64
import json
import math
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from stream_vae.core.alerts import AlertDetector
from stream_vae.core.assembly_config import AssemblyConfig
from stream_vae.core.model_spec import Feature, ModelSpec, Scores
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.records import RecordBatch
from stream_vae.core.scaling import Scaler
from stream_vae.detect.config import DetectConfig, ThresholdConfig
from stream_vae.pipeline.detector import Detector
from stream_vae.pipeline.incident_ids import Origin
from stream_vae.pipeline.pipeline import Outcome, Pipeline
from stream_vae.state.loader import ChangelogLoader
from stream_vae.state.partitions import PartitionTable

GOLDEN: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "golden" / "changelog_v1.json").read_text(encoding="utf-8")
)
NOW = datetime.fromtimestamp(GOLDEN["now_ns"] / 1e9, UTC)
THRESHOLD = frozenset({"ring", "head", "pending", "run", "fit"})
JUDGEMENT = frozenset({"verdicts", "thresholds", "p_values", "alerts", "n_alerts"})
REL = 1e-9
"""Another CPU's exponential and logarithm may differ in the last place."""


class WeightedSquares:
    """Mean square of the scaled values, step t of T weighing (t + 1) / T; expects mean and std.

    Sums run step by step and feature by feature, so that they are the same bits everywhere.
    """

    def __init__(self, scaler: Scaler) -> None:
        self._scaler = scaler

    def score(self, values: NDArray[np.float64], end_times: NDArray[np.int64]) -> Scores:
        n, length, n_features = values.shape
        assert end_times.shape == (n,)
        squares = np.nan_to_num(self._scaler.transform(values).astype(np.float64)) ** 2
        per_feature = np.zeros((n, n_features))
        for t in range(length):
            per_feature = per_feature + (t + 1) / length * squares[:, t]
        total = np.zeros(n)
        for f in range(n_features):
            total = total + per_feature[:, f]
        observed = (~np.isnan(values)).sum(axis=(1, 2))
        share = per_feature / np.maximum(total, 1e-12)[:, None]
        return Scores(
            value=total / np.maximum(observed, 1),
            contribution=share.astype(np.float32),
            expected=np.tile(self._scaler.mean, (n, 1)),
            expected_std=np.tile(self._scaler.std, (n, 1)),
        )


def spec_of(saved: dict[str, Any]) -> ModelSpec:
    scaler = saved["scaler"]
    return ModelSpec(
        id="squares",
        version=saved["version"],
        trained_at=NOW,
        features=tuple(Feature(name=name, unit="V") for name in saved["features"]),
        window_length=saved["window_length"],
        step_seconds=saved["step_seconds"],
        scaler=Scaler(
            mean=np.array(scaler["mean"]), std=np.array(scaler["std"]), clip=scaler["clip"]
        ),
        score=saved["score"],
        calibration={name: np.array(found) for name, found in saved["calibration"].items()},
    )


def batch_of(readings: list[list[Any]]) -> ReadingBatch:
    partitions, offsets, series, times, arrivals, values = zip(*readings, strict=True)
    return ReadingBatch(
        topic="readings",
        partitions=np.array(partitions, np.int32),
        offsets=np.array(offsets, np.int64),
        series=list(series),
        times=np.array(times, np.int64),
        arrivals=np.array(arrivals, np.int64),
        values=np.array([[np.nan if v is None else v for v in row] for row in values]),
    )


def changelog() -> RecordBatch:
    records = GOLDEN["records"]
    return RecordBatch(
        topic="changelog",
        partitions=np.array([record["partition"] for record in records], np.int32),
        offsets=np.arange(len(records)),
        timestamps=np.zeros(len(records), np.int64),
        timed_by_broker=False,
        keys=[decoded(record["key"]) for record in records],
        values=[decoded(record["value"]) for record in records],
        headers=lambda i: [(name, decoded(value)) for name, value in records[i]["headers"]],
    )


def decoded(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


def encoded(values: NDArray[Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(values, "<f4").tobytes()).decode()


class Restored:
    """A new pipeline of one model into which the changelog was loaded."""

    def __init__(self, spec: ModelSpec) -> None:
        threshold = ThresholdConfig(quantile=0.999, window=GOLDEN["threshold_window"])
        config = DetectConfig(threshold=threshold)
        origin = Origin(
            detector=AlertDetector(name="golden", version="0", instance="i"),
            topic="readings",
            group="golden",
        )
        self.spec = spec
        detector = Detector(spec, WeightedSquares(spec.scaler), config, capacity=64)
        # That release knew no open steps.
        self.pipeline = Pipeline(
            detector, config, origin, assembly=AssemblyConfig(lateness_steps=0)
        )
        loader = ChangelogLoader(self.pipeline, no_room, lambda: GOLDEN["now_ns"])
        self.partitions = PartitionTable()
        for number, committed in GOLDEN["live_at"].items():
            self.partitions.assign([int(number)], 0.0)
            self.partitions[int(number)].committed = committed
        loader.load(changelog(), self.partitions)
        for one in self.partitions.restoring:
            loader.load_incidents(one)
            assert one.checkpoint is not None
            loader.begin_replay(one, one.checkpoint.offset)

    def replay(self) -> int:
        """Take in again what was committed after the checkpoints; return how many were unseen."""
        readings = batch_of(GOLDEN["replay"])
        unseen = readings.take(self.pipeline.replayed.unseen(readings))
        scored = self.pipeline.score(self.pipeline.assemble(unseen))
        assert not self.pipeline.decide(scored, NOW, replayed=True).alerts
        self.pipeline.replayed.forget({one.number for one in self.partitions.restoring})
        return len(unseen)

    def series(self) -> list[dict[str, Any]]:
        """Return what is remembered of each series, windows as the model scales them."""
        store = self.pipeline.store
        rows = {store.index.name(row): row for row in store.index.used().tolist()}
        index, windows = store.index.state, store.windows.state
        return [
            {
                "partition": name[0],
                "series": name[1],
                "index": {field: index[field][row].item() for field in index.row.names or ()},
                "window": encoded(self.spec.scaler.transform(windows["values"][row])),
                "last_step": windows["last_step"][row].item(),
                "first_step": windows["first_step"][row].item(),
                "incidents": asdict(store.incidents_of(row)),
            }
            for name, row in sorted(rows.items())
        ]


def no_room(shortfall: int) -> None:
    raise AssertionError(f"no room for {shortfall} series")


class Said:
    """What became of each reading, whenever it was judged."""

    def __init__(self) -> None:
        self.scores: dict[tuple[int, int], float] = {}
        self.late: set[tuple[int, int]] = set()

    def add(self, outcome: Outcome) -> None:
        names = names_of(outcome.batch.scored.readings)
        self.scores.update(zip(names, outcome.verdicts.score.tolist(), strict=True))
        self.late.update(names[i] for i in outcome.late.tolist())

    def of(self, readings: ReadingBatch) -> dict[str, Any]:
        names = names_of(readings)
        return {
            "scores": [self.scores[name] for name in names],
            "late": [i for i, name in enumerate(names) if name in self.late],
        }


def floored(readings: ReadingBatch, spec: ModelSpec) -> ReadingBatch:
    """Return readings at the start of their steps, where that release placed them."""
    step_ns = round(spec.step_seconds * 1e9)
    return replace(readings, times=readings.times // step_ns * step_ns)


def names_of(readings: ReadingBatch) -> list[tuple[int, int]]:
    return list(zip(readings.partitions.tolist(), readings.offsets.tolist(), strict=True))


def assert_same(kept: Any, found: Any, path: str = "") -> None:
    """Hold what was kept against its counterpart; members that were not kept do not matter."""
    if isinstance(kept, dict):
        for name, value in kept.items():
            assert_same(value, found[name], f"{path}.{name}")
    elif isinstance(kept, list):
        assert len(kept) == len(found), path
        for i, (one, other) in enumerate(zip(kept, found, strict=True)):
            assert_same(one, other, f"{path}[{i}]")
    elif isinstance(kept, float):
        assert found == pytest.approx(kept, rel=REL), path
    else:
        assert found == kept, path


@pytest.mark.parametrize("model", ["spec", "other"])
def test_a_changelog_of_version_1_goes_on_as_the_release_that_wrote_it(model: str) -> None:
    """Windows and incidents go on; thresholds, of which more is kept now, begin anew."""
    kept = GOLDEN["models"][model]
    spec = spec_of(kept["spec"])
    restored, expect = Restored(spec), kept["expect"]
    assert restored.pipeline.detector.version == kept["spec"]["model_key"]
    for one in restored.partitions.restoring:
        checkpoint = None if one.checkpoint is None else asdict(one.checkpoint)
        state = one.restoration.state
        found = {**asdict(one.restoration), "state": state, "checkpoint": checkpoint}
        kept_here = expect["restorations"][str(one.number)] | {"state": "carried over"}
        assert_same(kept_here, found)
    assert_same(without(expect["loaded"], THRESHOLD), as_json(restored.series()), "loaded")
    n_open = [restored.pipeline.n_open_incidents]
    assert restored.replay() == expect["n_unseen"]
    n_open.append(restored.pipeline.n_open_incidents)
    live, said = [floored(batch_of(one), spec) for one in GOLDEN["live"]], Said()
    for readings in live:
        said.add(restored.pipeline.observe(readings, NOW))
    said.add(restored.pipeline.finish("readings", NOW))
    for i, readings in enumerate(live):
        [judged] = without([expect["live"][i]], JUDGEMENT)
        found = said.of(readings)
        # Values of one step replaced each other; now they are merged.
        is_part = np.isnan(readings.values.sum(axis=1)).tolist()
        kept_scores, scores = judged.pop("scores"), found.pop("scores")
        for one, other, part in zip(kept_scores, scores, is_part, strict=True):
            assert part or other == pytest.approx(math.nan if one is None else one, nan_ok=True)
        assert_same(judged, found, f"live[{i}]")
    assert n_open == expect["n_open_incidents"][:2]
    assert max(n_open) > 0


def without(kept: list[dict[str, Any]], names: frozenset[str]) -> list[dict[str, Any]]:
    return [{name: one[name] for name in one.keys() - names} for one in kept]


def as_json(value: Any) -> Any:
    return json.loads(json.dumps(value))
