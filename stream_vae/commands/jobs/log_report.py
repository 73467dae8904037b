"""What a training on logs tells, and the templates of bundles, as tables."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rich.table import Table

from stream_vae.commands.jobs.log_history import LearntLogs, of_logs
from stream_vae.commands.jobs.terminal import open_console
from stream_vae.core.excerpts import printable
from stream_vae.core.log_templates import LogSpec, LogTemplate
from stream_vae.core.model_spec import ModelSpec
from stream_vae.edges.files.bundle_files import load_bundle
from stream_vae.errors import ConfigError
from stream_vae.evaluate.absences import Counts, zero_probabilities
from stream_vae.inputs.log_lines.readers import log_format_name
from stream_vae.logs.log_steps import LogSteps
from stream_vae.logs.templates import Carried, carry_over, covered
from stream_vae.models.bundle import Bundle
from stream_vae.models.scores.likelihood import LastStep
from stream_vae.models.scoring import WindowScorer
from stream_vae.models.training.log_advice import (
    advise_on_steps,
    advise_on_templates,
)
from stream_vae.models.training.reports import TrainingReport
from stream_vae.settings import load_settings

_OF_COLUMNS = frozenset({"constant", "counter", "near_constant"})
"""Kinds of advice that say to leave a column out, or to take its rate."""
_OF_STEPS = frozenset({"gaps", "short_history"})
"""Kinds of advice on rows, which for lines are what is made of them."""
_LISTED = 5


def log_rows(logs: LearntLogs) -> list[tuple[str, str]]:
    """Return what was learnt of lines, as rows of the training report."""
    spec = logs.spec
    own = [one for one in spec.templates if not one.is_shared]
    n_rare = len(spec.templates) - len(own)
    share = sum(one.count for one in own) / spec.lines if spec.lines else 0.0
    rows = [
        ("lines", f"{spec.lines:,} in {len(logs.by_series):,} series"),
        (
            "templates",
            f"{len(spec.templates):,}: {len(own):,} counted by a feature of their own, which are "
            f"{share:.1%} of the lines; {n_rare:,} in features that several share",
        ),
        ("levels", _levels(logs)),
    ]
    if logs.steady:
        rows.append(
            (
                "steady lines",
                f"{', '.join(map(printable, logs.steady))}: about as many in each step, like the "
                "beats of a clock: judged as numbers, of which small changes weigh more",
            )
        )
    if logs.carried is not None:
        rows.append(("templates of the bundle before", _changes(logs.carried)))
    return rows


def _levels(logs: LearntLogs) -> str:
    told = ", ".join(logs.levels) or "none is told by the lines"
    if logs.levels and logs.is_level_the_same:
        return f"{told} alone: it has no feature, which would repeat that of all lines"
    return told


def log_advice(report: TrainingReport, logs: LearntLogs, steps: LogSteps) -> TrainingReport:
    """Return the report with advice on logs in place of that on columns; most useful first.

    No line of the training is `unseen`, so that this feature is 0 throughout. Of sessions that are
    all alike a constant is the best model that there is.
    """
    left_out = _OF_COLUMNS | ({"no_better_than_constant"} if logs.of_sessions else _OF_STEPS)
    others = [one for one in report.advice if one.kind not in left_out]
    of_steps = () if logs.of_sessions else advise_on_steps(steps)
    own = advise_on_templates(logs.by_series, logs.spec, covered(logs.spec))
    return replace(report, advice=(*of_steps, *own, *others))


def with_absences(
    bundle: Bundle, history: Iterable[Counts], *, device: str, is_log_normal: bool
) -> Bundle:
    """Return a bundle of logs that knows how improbable it is that no line of a template comes.

    Args:
        bundle: With its templates.
        history: See `zero_probabilities`.
        device: To compute on.
        is_log_normal: See `zero_probabilities`.
    """
    spec = bundle.spec
    if spec.logs is None:
        return bundle
    scorer = WindowScorer(bundle, device=device)
    found = zero_probabilities(spec, scorer, history, is_log_normal=is_log_normal)
    of_feature = {
        feature.name: float(f"{zero:.3g}")
        for feature, zero in zip(spec.features, found.tolist(), strict=True)
        if math.isfinite(zero)
    }
    templates = tuple(
        replace(one, zero_probability=of_feature.get(one.feature)) for one in spec.logs.templates
    )
    return of_logs(bundle, replace(spec.logs, templates=templates))


def absence_rows(spec: ModelSpec, score: str) -> Iterator[tuple[str, str]]:
    """Yield of which templates a disappearance cannot be seen, as a row of the training report.

    Args:
        spec: Of a model of logs.
        score: That is in use.
    """
    templates = () if spec.logs is None else spec.logs.templates
    reach = _reach_of(spec, score)
    own = [one for one in templates if not one.is_shared and one.zero_probability is not None]
    lost = [one for one in own if one.missed_after(reach) is None]
    n_shared = sum(one.is_shared for one in templates)
    if not lost and not n_shared:
        return
    what = "a session" if spec.has_sessions else f"{reach:,} step{'s' * (reach > 1)} in a row"
    named = _listed([f'"{printable(one.text, 60)}"' for one in lost])
    text = (
        f"{len(lost):,} of {len(own):,} with a feature of their own{named}: {what} without a line "
        "of it is no rarer than one in forty, by the model, where it comes most"
    )
    if n_shared:
        text += f"; and {n_shared:,} that share a feature with others"
    yield "templates whose absence is not seen", f"{text} (model templates BUNDLE lists them)"


def _reach_of(spec: ModelSpec, score: str) -> int:
    """Return the steps that a score judges together."""
    return 1 if score == LastStep.name else spec.window_length


def print_templates(folder: Path, against: Path | None, config: Path | None = None) -> None:
    """Print the templates of a bundle, or what changed since another one.

    Args:
        folder: The bundle.
        against: The other one.
        config: Names the score in use; None: see `load_settings`.
    """
    spec = load_bundle(folder).spec
    logs, console = _logs_of(spec, folder), open_console()
    if against is None:
        console.print(_templates_table(logs, spec, _score_in_use(spec, config)))
        return
    before = _logs_of(load_bundle(against).spec, against)
    carried = carry_over(before, logs)
    console.print(_changes(carried))
    console.print(_changes_table(before, logs, carried))


def _logs_of(spec: ModelSpec, folder: Path) -> LogSpec:
    if spec.logs is None:
        raise ConfigError(f"bundle {folder}: found a model of readings, expected one of logs")
    return spec.logs


def _score_in_use(spec: ModelSpec, config: Path | None) -> str:
    """Return the score by which the lines of a bundle of logs are judged."""
    settings = load_settings(config).settings
    if log_format_name(settings.input) is None:
        settings = load_settings(config, {"input.format": "log_lines"}).settings
    return spec.score if settings.detect.score == "auto" else settings.detect.score


def _templates_table(logs: LogSpec, spec: ModelSpec, score: str) -> Table:
    what, reach = "session" if spec.has_sessions else "step", _reach_of(spec, score)
    title = (
        f"{len(logs.templates):,} templates of {logs.lines:,} lines. Missed after: {what}s in a "
        "row without a line of it that are improbable (below 2.5 %) by the model, where it comes "
        f"most; never: they are more than the score {score} judges together ({reach:,} "
        f"{what}{'s' * (reach > 1)}), or it shares its feature"
    )
    columns = ("feature", "lines", "missed after", "template", "example")
    table = Table(*columns, title=title, title_justify="left")
    for one in logs.templates:
        missed = _missed(one, reach, what)
        table.add_row(one.feature, f"{one.count:,}", missed, printable(one.text, 300), one.example)
    return table


def _missed(one: LogTemplate, reach: int, what: str) -> str:
    if one.zero_probability is None and not one.is_shared:
        return "not known"
    after = one.missed_after(reach)
    return "never" if after is None else f"{after:,} {what}{'s' * (after > 1)}"


def _changes(carried: Carried) -> str:
    """Return how many templates are kept, new and gone, and the first of those."""
    by_id = {one.id: one for one in carried.logs.templates}
    new = [f'"{printable(by_id[name].text, 60)}"' for name in carried.new]
    told = [f"{len(carried.kept):,} kept"]
    for what, names in (("new", new), ("gone", carried.gone)):
        told.append(f"{len(names):,} {what}{_listed(names)}")
    return ", ".join(told)


def _listed(names: Sequence[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    return f" ({', '.join(names[:_LISTED])}{more})"


def _changes_table(before: LogSpec, after: LogSpec, carried: Carried) -> Table:
    table = Table("change", "feature", "lines before", "lines", "template", "before")
    for row in _changed(before, after, carried):
        table.add_row(*row)
    return table


def _changed(before: LogSpec, after: LogSpec, carried: Carried) -> Iterator[tuple[str, ...]]:
    """Yield the templates that are not the same in both, new ones first."""
    old = {one.id: one for one in before.templates}
    new, gone = set(carried.new), set(carried.gone)
    changed = []
    for own, one in zip(after.templates, carried.logs.templates, strict=True):
        text, lines = printable(one.text, 300), f"{one.count:,}"
        if one.id in new:
            yield "new", own.feature, "", lines, text, ""
        elif one.pattern != (was := old[one.id]).pattern:
            changed.append((own.feature, f"{was.count:,}", lines, text, printable(was.text, 300)))
    for row in changed:
        yield "other words", *row
    for was in before.templates:
        if was.id in gone:
            yield "gone", was.feature, f"{was.count:,}", "", "", printable(was.text, 300)
