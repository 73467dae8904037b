"""Memory, cores, pods and state of a deployment, for people and for the chart."""

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import yaml
from rich.table import Table

from stream_vae.commands.jobs.assumed_model import assumed_spec
from stream_vae.commands.jobs.sizing import (
    IDLE_CORES,
    LIBRARIES_MIB,
    MIB,
    MUCH_STATE,
    UTILISATION,
    SeriesBytes,
    Sizing,
    Speed,
    Stream,
)
from stream_vae.commands.jobs.terminal import open_console, warn
from stream_vae.core.model_spec import ModelSpec
from stream_vae.core.series_index import NAME_BYTES
from stream_vae.edges.files.bundle_files import load_bundle
from stream_vae.errors import ConfigError
from stream_vae.models.bundle import Bundle
from stream_vae.pipeline.pipeline import store_of_one
from stream_vae.settings import Settings, load_settings
from stream_vae.state.changelog import ChangelogWriter
from stream_vae.wire.snapshots import MODEL_BYTES

_STATED_READINGS, _STATED_WINDOW = 12_000, 32
_STATED = (
    "stated: 12,000 readings/s of windows of 32 steps on one core of a shared x86-64 server, fewer "
    "in proportion of longer ones; --measure SECONDS tells of this machine and bundle"
)
_RESTORED = 85e6
"""Bytes a second: 529 MB of saved state in 6.2 s (`python -m tests.benchmarks restore`)."""

_DAY_S = 86_400
_WORD = "series-0000000000000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumed:
    """The model as the command line tells it; None: not told."""

    n_features: int | None
    window_length: int | None
    step_seconds: float | None

    @property
    def is_told(self) -> bool:
        """Whether anything is."""
        return (self.n_features, self.window_length, self.step_seconds) != (None, None, None)


def print_size(
    stream: Stream,
    assumed: Assumed,
    bundle: Path | None,
    config: Path | None,
    secrets_dir: Path | None,
    *,
    replicas: int | None,
    measure_s: float | None,
) -> None:
    """Print the figures to stderr and the chart's values to stdout.

    Args:
        stream: `readings_per_second` 0: one reading a step of the model from each series.
        assumed: The model, where there is no bundle.
        bundle: None: that of the settings.
        config: Settings.
        secrets_dir: Secrets among them.
        replicas: None: as many as the rate needs.
        measure_s: None: the stated figures.

    Raises:
        ConfigError: If neither a bundle nor the options say what the model is.
    """
    settings = load_settings(config=config, secrets_dir=secrets_dir, needs_secrets=False).settings
    model = _bundle(settings, assumed, bundle)
    spec = _assumed(settings, assumed) if model is None else model.spec
    if not stream.readings_per_second:
        stream = replace(stream, readings_per_second=stream.n_series / spec.step_seconds)
    sizing = Sizing(
        stream=stream,
        series=series_bytes(spec, settings),
        speed=_speed(settings, spec, model, measure_s),
        snapshot_interval_s=settings.state.snapshot_interval_s,
        least_rows=2 * settings.kafka.poll_records,
        asked_replicas=replicas,
    )
    console = open_console(stderr=True)
    console.print(_table(sizing, spec, is_trained=model is not None))
    for text in warnings(sizing, settings):
        warn(console, text)
    sys.stdout.write(values_text(sizing))


def series_bytes(spec: ModelSpec, settings: Settings) -> SeriesBytes:
    """Return what a series of a model takes, by the tables that the daemon keeps it in."""
    store = store_of_one(spec, settings.detect, settings.input.assembly)
    name = (0, _WORD)
    saved = store.complete(store.capture(store.rows([name])))
    writer = ChangelogWriter("", spec, "0" * 2 * MODEL_BYTES, store.layout)
    record = writer.saved(saved, {0: 0})[0]
    parts = {part.name: part.columns.row.itemsize for part in store.layout.parts}
    return SeriesBytes(
        parts={**parts, "key": NAME_BYTES},
        saved=len(record.key or b"") + len(record.value or b""),
    )


def values_text(sizing: Sizing) -> str:
    """Return the chart's values, YAML."""
    values = {
        "replicas": sizing.replicas,
        "resources": {
            "requests": {
                "cpu": f"{round(sizing.cpu_request * 1000)}m",
                "memory": f"{sizing.memory_request_mib}Mi",
            },
            "limits": {"memory": f"{sizing.memory_limit_mib}Mi"},
        },
        "config": {"state": {"memory_budget_mb": sizing.budget_mib}},
    }
    head = "# For the chart deploy/helm/stream-vae: helm upgrade … -f values.yaml -f size.yaml\n"
    return head + yaml.safe_dump(values, sort_keys=False)


def _bundle(settings: Settings, assumed: Assumed, bundle: Path | None) -> Bundle | None:
    if bundle is not None:
        if assumed.is_told:
            msg = "--features, --window, --step-seconds: found beside --bundle, which tells them"
            raise ConfigError(f"{msg}; expected one or the other")
        return load_bundle(bundle)
    if assumed.is_told or not settings.bundle.path.is_dir():
        return None
    return load_bundle(settings.bundle.path)


def _assumed(settings: Settings, assumed: Assumed) -> ModelSpec:
    if assumed.n_features is None or assumed.step_seconds is None:
        msg = (
            f"no bundle in {settings.bundle.path}; expected --bundle DIR, or --features and "
            "--step-seconds of the model that there will be"
        )
        raise ConfigError(msg)
    return assumed_spec(
        settings,
        window_length=assumed.window_length or settings.model.window_length,
        n_features=assumed.n_features,
        step_seconds=assumed.step_seconds,
    )


def _speed(
    settings: Settings, spec: ModelSpec, model: Bundle | None, measure_s: float | None
) -> Speed:
    if measure_s is None:
        longer = max(1.0, spec.window_length / _STATED_WINDOW)
        return Speed(readings=_STATED_READINGS / longer, restored=_RESTORED, origin=_STATED)
    if model is None:
        raise ConfigError("--measure: found no bundle to judge with; expected --bundle DIR")
    from stream_vae.commands.jobs.measured_speed import DAEMON_SHARE, measure_readings

    return Speed(
        readings=measure_readings(model, settings, measure_s),
        restored=_RESTORED,
        origin=f"measured here for {measure_s:g} s: {DAEMON_SHARE:.0%} of the bare model's",
    )


def _table(sizing: Sizing, spec: ModelSpec, *, is_trained: bool) -> Table:
    stream = sizing.stream
    model = f"the bundle {spec.id}" if is_trained else "a model as told"
    table = Table("what", "figure", "because", title="size", title_justify="left")
    for row in _rows(sizing, spec, model):
        table.add_row(*row)
    table.caption = f"{stream.n_series:,} series, {stream.readings_per_second:,.6g} readings/s"
    return table


def _rows(sizing: Sizing, spec: ModelSpec, model: str) -> Iterator[tuple[str, str, str]]:
    stream, series = sizing.stream, sizing.series
    largest = sorted(series.parts.items(), key=lambda one: -one[1])[:3]
    parts = ", ".join(f"{name} {n:,}" for name, n in largest)
    yield (
        "memory of a series",
        f"{series.total:,} bytes",
        f"{model}: T={spec.window_length}, F={len(spec.features)}; {parts}, …",
    )
    yield (
        "memory of all series",
        f"{stream.n_series * series.total / MIB:,.0f} MiB",
        f"{stream.n_series:,} of them, over all instances",
    )
    yield (
        "most of an instance",
        f"{sizing.speed.readings:,.0f} readings/s",
        sizing.speed.origin,
    )
    yield (
        "instances",
        _count(sizing.replicas, "pod"),
        f"{sizing.needed_replicas} for the rate at {UTILISATION:.0%} of the most; at most "
        f"{stream.n_partitions}, the partitions",
    )
    yield (
        "cores of an instance",
        f"{sizing.cores:.2f} cores",
        f"{IDLE_CORES:g} for polls, batches and commits, the rest by its readings",
    )
    yield (
        "series of the fullest",
        f"{sizing.fullest_series:,} series",
        "while another instance is away" if sizing.replicas > 1 else "there is one instance",
    )
    yield (
        "memory of a pod",
        f"{sizing.memory_request_mib:,} MiB",
        f"{LIBRARIES_MIB} MiB of libraries and model, and the fullest one's series; limit "
        f"{sizing.memory_limit_mib:,} MiB for a full state.memory_budget_mb of "
        f"{sizing.budget_mib:,}",
    )
    yield (
        "state topic",
        f"{sizing.live_bytes / MIB:,.0f} MiB, on disks up to {sizing.disk_bytes / MIB:,.0f}",
        f"{series.saved:,} bytes a series before compression; {stream.replication} copies, not "
        "yet compacted ones among them",
    )
    yield (
        "state written",
        f"{sizing.saved_per_second / MIB:,.2f} MiB/s",
        f"each changed series every {sizing.snapshot_interval_s:g} s (state.snapshot_interval_s)",
    )
    yield (
        "restart",
        _seconds(sizing.restore_s + sizing.replay_s),
        f"{sizing.restore_s:,.1f} s for state at {sizing.speed.restored / 1e6:g} MB/s, the rest "
        "for readings since it was saved; at most, once the process is up",
    )


def warnings(sizing: Sizing, settings: Settings) -> Iterator[str]:
    """Yield what cannot work as asked, and what it is likely not meant to be."""
    stream = sizing.stream
    if sizing.replicas == 1:
        yield (
            "one pod has no other beside it: while it restarts, or its node is lost, nothing is "
            "judged and no alert comes; --replicas 2 has one take over"
        )
    if sizing.saved_per_second > MUCH_STATE:
        a_day = sizing.saved_per_second * _DAY_S / 1e12
        yield (
            f"{sizing.saved_per_second / MIB:,.1f} MiB/s of state are {a_day:,.1f} TB a day for "
            f"the brokers to take, copy ({stream.replication} times) and compact; "
            f"state.snapshot_interval_s {sizing.calm_interval_s} or more writes a third of a TB, "
            "and a restart then reads more again; a smaller detect.threshold.window writes less "
            "of each series"
        )
    if sizing.replicas > stream.n_partitions:
        yield (
            f"{sizing.replicas} instances, but {stream.n_partitions} partitions: the rest would "
            f"stand by. Give the input at least {sizing.replicas} partitions"
        )
    if sizing.replicas < sizing.needed_replicas:
        yield (
            f"--replicas {sizing.replicas}: the rate needs {sizing.needed_replicas} to keep "
            "half of each free; lag grows after each restart"
        )
    if sizing.budget_mib > settings.state.memory_budget_mb:
        yield (
            f"state.memory_budget_mb is {settings.state.memory_budget_mb:g}: the longest idle "
            f"series would be evicted; set {sizing.budget_mib}, as the values do"
        )


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _seconds(value: float) -> str:
    return f"{value:,.0f} s" if math.isfinite(value) else "never done"
