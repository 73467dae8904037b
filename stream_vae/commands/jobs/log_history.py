"""Histories of logs: what training learns of their lines, and the counts that it is fitted to."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from stream_vae.commands.jobs.input_files import TopicPeriod, open_records
from stream_vae.commands.jobs.terminal import warn
from stream_vae.commands.options import FileOptions
from stream_vae.core.alerts import Closing
from stream_vae.core.log_templates import LogSpec, Mask
from stream_vae.core.model_spec import Feature
from stream_vae.core.readings import ReadingBatch
from stream_vae.edges.files.added_up import add_up
from stream_vae.edges.files.bundle_files import load_bundle
from stream_vae.edges.files.csv_header import ColumnChoice
from stream_vae.edges.files.csv_readings import CsvReadings
from stream_vae.edges.files.line_file import refuse_pipes
from stream_vae.edges.files.record_files import RecordFiles
from stream_vae.errors import BundleError, ConfigError, InputFileError
from stream_vae.inputs.decoder import Decoded
from stream_vae.inputs.log_lines.learning import LineLearner, learner_of
from stream_vae.inputs.log_lines.line_counts import features_of, with_kinds
from stream_vae.inputs.log_lines.log_format import LogFormat
from stream_vae.logs.even_counts import are_even
from stream_vae.logs.line_times import LineTimes
from stream_vae.logs.masks import with_masks
from stream_vae.logs.miner import LogfoldMiner, MinedTemplate, MinerConfig
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
from stream_vae.models.config import rows_wanted
from stream_vae.settings import Settings

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
    times: LineTimes
    """When the lines were."""
    closed: Mapping[Closing, int] | None
    """How -> sessions that were closed so; None if it is not counted by sessions."""
    carried: Carried | None
    """Which templates an earlier training had too; None if there was none."""

    @property
    def of_sessions(self) -> bool:
        """Whether it is counted by sessions."""
        return self.closed is not None


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
    settings: Settings,
    *,
    step_seconds: float | None,
    before: LogSpec | None,
    now_ns: int,
) -> LearntHistory:
    """Learn the templates of a history, and count its lines by them.

    Args:
        open_logs: The history.
        choice: Of the command line.
        settings: Of the input, the windows and the training.
        step_seconds: Width of a step; None: see `LineTimes.step_s`.
        before: Templates of an earlier training, which keep their identities.
        now_ns: Wall clock, nanoseconds since 1970.

    Raises:
        InputFileError: If there is no line that can be counted.
    """
    training, window_length = settings.training, settings.model.window_length
    fmt, masks = settings.input, with_masks(training.masks)
    times = LineTimes(window_length, rows_wanted(window_length, training))
    found = _look_through(open_logs(choice), fmt, masks, times, now_ns)
    logs = chosen(found.mined, TemplateConfig(examples=training.log_examples), masks)
    carried = None if before is None else carry_over(before, logs)
    logs = logs if carried is None else carried.logs
    learner, of_sessions = found.learner, fmt.sessions is not None
    levels = () if learner.is_level_the_same else learner.levels
    features = features_of(logs.templates, levels, of_sessions=of_sessions)
    step_s = step_seconds or times.step_s()
    files = open_logs(_counting(choice, logs, features))
    by_series: defaultdict[str, Counter[int]] = defaultdict(Counter)
    if of_sessions:
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
        readings = replace(readings, features=features)
    return LearntHistory(
        logs=LearntLogs(
            spec=logs,
            levels=learner.levels,
            is_level_the_same=learner.is_level_the_same,
            steady=tuple(feature.name for feature in features if feature.kind == "numeric"),
            by_series=by_series,
            times=times,
            closed=files.closed_sessions,
            carried=carried,
        ),
        readings=replace(readings, notes=files.notes),
        step_seconds=step_seconds if of_sessions else step_s,
        choice=_counting(choice, logs, features),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What lines are, before their templates are chosen."""

    learner: LineLearner
    mined: Sequence[MinedTemplate]
    """Most frequent first."""


def _look_through(
    files: RecordFiles,
    fmt: LogFormat,
    masks: Sequence[Mask],
    times: LineTimes,
    now_ns: int,
) -> _Found:
    """Return what the lines of a history are; add when they were to `times`.

    Raises:
        InputFileError: If there is no line that can be counted.
    """
    learner, decoder = learner_of(fmt)
    miner = LogfoldMiner(masks, MinerConfig())
    n_lines, rejected = 0, ""
    for batch in files.iter_records():
        decoded = decoder.decode(batch, now_ns)
        miner.add(learner.take_texts())
        times.add(decoded.readings.series, decoded.readings.times)
        n_lines += len(decoded.readings)
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
    return _Found(learner=learner, mined=mined)


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
    refuse_pipes(source, "a history of logs is read twice")
    return open_records(source, choice, options, settings.input)


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
