"""The daemon's pipeline for the offline commands, and their folders."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from stream_vae import __version__
from stream_vae.commands.jobs.input_files import is_of_logs
from stream_vae.commands.options import FileOptions
from stream_vae.core.alerts import AlertDetector
from stream_vae.core.model_spec import ModelSpec
from stream_vae.errors import ConfigError
from stream_vae.inputs.log_lines.readers import log_format_name
from stream_vae.models.bundle import Bundle
from stream_vae.models.scoring import WindowScorer
from stream_vae.pipeline.detector import Detector, score_name
from stream_vae.pipeline.incident_ids import Origin
from stream_vae.pipeline.pipeline import Pipeline
from stream_vae.pipeline.ruled_history import check_rules
from stream_vae.pipeline.session_check import check_sessions
from stream_vae.settings import LogKind, Settings, load_settings
from stream_vae.settings.sources import DEFAULT_ORIGIN, is_default


def judged(spec: ModelSpec) -> LogKind | None:
    """Return what a bundle judges of logs, for the defaults; None of readings."""
    if spec.logs is None:
        return None
    return "sessions" if spec.has_sessions else "logs"


def load_judging(
    spec: ModelSpec,
    files: Sequence[Path],
    options: FileOptions,
    flags: Mapping[str, object],
    config: Path | None,
    *,
    console: Console,
) -> Settings:
    """Return the settings by which the readings of files are judged.

    Where none tells the format, a bundle of logs calls for the defaults of logs, which is told, and
    files that are logs by their names are read as lines.

    Args:
        spec: Of the bundle.
        files: That are read.
        options: Of the command line.
        flags: See `load_settings`, as `config`.
        config: A YAML file.
        console: Is told.
    """
    loaded = load_settings(config, flags, judged=judged(spec))
    values, settings = loaded.dotted(), loaded.settings
    if spec.logs is None or log_format_name(settings.input) is not None:
        return settings
    told = [
        f"{name} {values[name]}"
        for name, origin in loaded.origins.items()
        if name.startswith("detect.") and is_default(origin) and origin != DEFAULT_ORIGIN
    ]
    if told:
        console.print(
            f"The bundle judges lines of logs, so their defaults hold: {', '.join(told)}",
            highlight=False,
            soft_wrap=True,
        )
    if is_default(loaded.origins["input.format"]) and is_of_logs(files, options, settings.input):
        settings = load_settings(config, {**flags, "input.format": "log_lines"}).settings
    return settings


def open_pipeline(
    model: Bundle,
    settings: Settings,
    *,
    capacity: int,
    instance: str,
    with_log_probability: bool = False,
) -> Pipeline:
    """Return a fresh pipeline with the settings of a daemon.

    Args:
        model: The bundle.
        settings: As for `run`; incidents get the ids that this daemon would give them.
        capacity: Most series held.
        instance: The command, for alert events.
        with_log_probability: Scores are to tell that of each value, for pictures.

    Raises:
        ConfigError: If bundle and settings do not fit.
    """
    check_rules(model.spec, settings.input.rules)
    check_sessions(model.spec, settings.input.sessions)
    scorer = build_scorer(model, settings, with_log_probability=with_log_probability)
    origin = Origin(
        detector=AlertDetector(name=settings.detector.name, version=__version__, instance=instance),
        topic=settings.input.topic,
        group=settings.kafka.group_id,
        labels=settings.detector.labels,
        links=settings.detector.links,
    )
    detector = Detector(model.spec, scorer, settings.detect, capacity)
    return Pipeline(detector, settings.detect, origin, assembly=settings.input.assembly)


def build_scorer(
    model: Bundle, settings: Settings, *, with_log_probability: bool = False
) -> WindowScorer:
    """Return what scores windows with the settings of a daemon.

    Raises:
        ConfigError: If bundle and settings do not fit.
    """
    return WindowScorer(
        model,
        score=score_name(model.spec, settings.detect),
        device=settings.worker.device,
        max_batch=settings.worker.max_batch,
        with_log_probability=with_log_probability,
    )


def make_folder(folder: Path, flag: str) -> None:
    """Make a folder for results.

    Raises:
        ConfigError: If it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigError(f"{flag} {folder}: cannot be written: {exc.strerror or exc}") from exc
