"""Histories of logs: what training learns of their lines, and the counts that it is fitted to."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from rich.console import Console

from stream_vae.commands.jobs.input_files import TopicPeriod, lines_format, open_records
from stream_vae.commands.jobs.terminal import warn
from stream_vae.commands.options import FileOptions
from stream_vae.core.log_templates import LogSpec
from stream_vae.core.model_spec import Feature
from stream_vae.core.readings import ReadingBatch
from stream_vae.edges.files.added_up import add_up
from stream_vae.edges.files.bundle_files import load_bundle
from stream_vae.edges.files.csv_header import ColumnChoice
from stream_vae.edges.files.csv_readings import CsvReadings
from stream_vae.edges.files.record_files import RecordFiles
from stream_vae.errors import BundleError, ConfigError, InputFileError
from stream_vae.inputs.decoder import Decoded
from stream_vae.inputs.json_decoder import JsonDecoder
from stream_vae.inputs.log_lines.learning import LineLearner
from stream_vae.inputs.log_lines.line_counts import features_of, with_kinds
from stream_vae.inputs.log_lines.log_format import LogFormat
from stream_vae.inputs.log_lines.readers import as_read, build_line_reader, log_format_name
from stream_vae.logs.even_counts import are_even
from stream_vae.logs.masks import with_masks
from stream_vae.logs.miner import LogfoldMiner, MinerConfig
from stream_vae.logs.templates import (
    Carried,
    TemplateConfig,
    carry_over,
    chosen,
    of_events,
)
from stream_vae.models.bundle import Bundle
from stream_vae.models.bundle_format import with_version
from stream_vae.models.bundle_names import MODEL_FILE
from stream_vae.settings import Settings

_STEPS_S = (1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0)
_ENOUGH_STEPS = 2000
"""Steps of a history below which shorter ones are taken."""

OpenLogs = Callable[[ColumnChoice], RecordFiles]
"""Opens the history anew; it is read twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LearntLogs:
    """What was learnt of the lines of a history."""

    spec: LogSpec
    levels: tuple[str, ...]
    """Names of those that lines told."""
    is_level_the_same: bool
    """Whether all lines have one level."""
    steady: tuple[str, ...]
    """Features that hardly vary from step to step."""
    by_series: Mapping[str, Mapping[int, int]]
    """Key -> number of a template -> lines of it; -1: lines without one."""
    of_sessions: bool
    """Whether it is counted by sessions."""
    carried: Carried | None
    """Which templates an earlier training had too; None if there was none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LearntHistory:
    """What a model is fitted to."""

    readings: CsvReadings
    """Of logs, counts whole steps apart; a step without a line is zero unless it is in a long
    gap."""
    choice: ColumnChoice
    """With which they were read."""
    step_seconds: float | None
    """None: to be inferred."""
    logs: LearntLogs | None = None
    """What the features count, if they count the lines of logs."""


def read_logs(
    open_logs: OpenLogs,
    choice: ColumnChoice,
    fmt: LogFormat,
    *,
    step_seconds: float | None,
    window_length: int,
    masks: Mapping[str, str],
    examples: Literal["raw", "masked"] = "raw",
    before: LogSpec | None,
    now_ns: int,
) -> LearntHistory:
    """Learn the templates of a history, and count its lines by them.

    Args:
        open_logs: The history.
        choice: Of the command line.
        fmt: The settings of the input.
        step_seconds: Width of a step; None: the longest up to a minute of which the history has
            many.
        window_length: Steps of a window; a longer gap is missing rather than empty.
        masks: The operator's own, name -> pattern.
        examples: As in `TemplateConfig`.
        before: Templates of an earlier training, which keep their identities.
        now_ns: Wall clock, nanoseconds since 1970.

    Raises:
        InputFileError: If there is no line that can be counted.
    """
    name = log_format_name(fmt) or "log_lines"
    learner = LineLearner(build_line_reader(name, fmt))
    all_masks = with_masks(masks)
    miner = LogfoldMiner(all_masks, MinerConfig())
    decoder = JsonDecoder(learner, as_read(name, fmt))
    first_ns, last_ns, n_lines = np.iinfo(np.int64).max, 0, 0
    rejected = ""
    for batch in open_logs(choice).iter_records():
        decoded = decoder.decode(batch, now_ns)
        miner.add(learner.take_texts())
        times = decoded.readings.times
        if len(times):
            first_ns, last_ns = min(first_ns, int(times.min())), max(last_ns, int(times.max()))
        n_lines += len(times)
        if not rejected and decoded.rejections:
            rejected = f"; first: {decoded.rejections[0].detail}"
    if not n_lines:
        raise InputFileError(f"no line that counts{rejected}")
    events = of_events(learner.events, learner.examples)
    mined = sorted([*miner.templates(), *events], key=lambda one: (-one.count, one.pattern))
    if not mined:
        raise InputFileError(
            f"{n_lines:,} lines, none of which tells the key of a session; expected one that "
            "input.session_pattern or session_field finds"
        )
    logs = chosen(mined, TemplateConfig(examples=examples), all_masks)
    carried = None if before is None else carry_over(before, logs)
    logs = logs if carried is None else carried.logs
    levels = () if learner.is_level_the_same else learner.levels
    features = features_of(logs.templates, levels, of_sessions=fmt.sessions is not None)
    step_s = step_seconds or _step(last_ns - first_ns)
    choice = _counting(choice, logs, features)
    files = open_logs(choice)
    by_series: defaultdict[str, Counter[int]] = defaultdict(Counter)
    steady: tuple[str, ...] = ()
    if fmt.sessions is not None:
        readings = files.read(lambda decoded: _count(decoded, by_series))
    else:
        readings = add_up(
            _counted(files.iter_decoded(), by_series),
            features,
            step_ns=round(step_s * 1e9),
            bridged=window_length,
            paths=files.paths,
        )
        features = with_kinds(features, are_even(readings.values, readings.series))
        steady = tuple(feature.name for feature in features if feature.kind == "numeric")
        readings = replace(readings, features=features)
        choice = _counting(choice, logs, features)
    return LearntHistory(
        logs=LearntLogs(
            spec=logs,
            levels=learner.levels,
            is_level_the_same=learner.is_level_the_same,
            steady=steady,
            by_series=by_series,
            of_sessions=fmt.sessions is not None,
            carried=carried,
        ),
        readings=replace(readings, notes=files.notes),
        step_seconds=step_seconds if fmt.sessions is not None else step_s,
        choice=choice,
    )


def _counted(
    polls: Iterator[Decoded], by_series: defaultdict[str, Counter[int]]
) -> Iterator[ReadingBatch]:
    """Yield the readings of polls; count their templates by series."""
    for decoded in polls:
        _count(decoded, by_series)
        yield decoded.readings


def _count(decoded: Decoded, by_series: defaultdict[str, Counter[int]]) -> None:
    """Count the templates of lines by series."""
    numbers = [] if decoded.templates is None else decoded.templates.tolist()
    found = list(zip(decoded.readings.series, numbers, strict=True))
    if decoded.sessions is not None:
        found = [one for one, of in zip(found, decoded.sessions.keys, strict=True) if of]
    for (key, number), n in Counter(found).items():
        by_series[key][number] += n


def open_logs(
    source: Sequence[Path] | TopicPeriod,
    choice: ColumnChoice,
    options: FileOptions,
    settings: Settings,
) -> RecordFiles:
    """Return a history of logs, not yet read."""
    if isinstance(source, TopicPeriod):
        # Imported here: training on files needs no Kafka client.
        from stream_vae.commands.jobs.topic_input import open_topic

        return open_topic(source, choice, settings)
    return open_records(source, choice, options, lines_format(settings.input))


def templates_before(named: Path | None, target: Path, console: Console) -> LogSpec | None:
    """Return the templates of an earlier training, whose identities this one keeps.

    Args:
        named: The bundle that the command line names.
        target: The bundle that is replaced, if one is there.
        console: Told of a bundle that cannot be read.

    Raises:
        BundleError: If the named bundle cannot be read.
        ConfigError: If the named bundle has no templates.
    """
    if named is not None:
        logs = load_bundle(named).spec.logs
        if logs is None:
            raise ConfigError(
                f"--templates-of {named}: found a bundle of readings, expected one of logs"
            )
        return logs
    if not (target / MODEL_FILE).exists():
        return None
    try:
        return load_bundle(target).spec.logs
    except BundleError as exc:
        warn(console, f"its templates do not keep their names: {exc}")
        return None


def of_logs(bundle: Bundle, logs: LogSpec) -> Bundle:
    """Return the bundle of a model whose features count the lines of these templates."""
    return with_version(replace(bundle, spec=replace(bundle.spec, logs=logs)))


def _counting(choice: ColumnChoice, logs: LogSpec, features: Sequence[Feature]) -> ColumnChoice:
    return replace(
        choice,
        features=tuple(feature.name for feature in features),
        declared={feature.name: feature for feature in features},
        logs=logs,
    )


def _step(span_ns: int) -> float:
    """Return the width of steps that suits a history.

    >>> _step(86_400 * 10**9 * 7), _step(7200 * 10**9)
    (60.0, 2.0)
    """
    fitting = [step for step in _STEPS_S if span_ns >= _ENOUGH_STEPS * step * 1e9]
    return max(fitting, default=_STEPS_S[0])
