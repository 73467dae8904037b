"""What a training on logs tells, and the templates of bundles, as tables."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.table import Table

from stream_vae.commands.jobs.log_history import LearntLogs, of_logs
from stream_vae.commands.jobs.offline import build_scorer, judged
from stream_vae.commands.jobs.terminal import open_console
from stream_vae.commands.jobs.train_closing import lacking
from stream_vae.core.excerpts import printable
from stream_vae.core.log_templates import Absences, LogSpec, LogTemplate
from stream_vae.core.model_spec import ModelSpec
from stream_vae.detect.config import DetectConfig
from stream_vae.edges.files.bundle_files import load_bundle
from stream_vae.errors import ConfigError
from stream_vae.evaluate.absences import Counts, absence_scores, tried_steps
from stream_vae.logs.log_steps import LogSteps
from stream_vae.logs.templates import Carried, carry_over, covered
from stream_vae.models.bundle import Bundle
from stream_vae.models.training.log_advice import (
    advise_on_steps,
    advise_on_templates,
)
from stream_vae.models.training.reports import TrainingReport
from stream_vae.pipeline.detector import first_threshold, score_name
from stream_vae.settings import Settings, load_settings

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


def with_absences(bundle: Bundle, history: Iterable[Counts], settings: Settings) -> Bundle:
    """Return a bundle of logs that knows how soon the absence of each template would be told.

    Args:
        bundle: With its templates.
        history: See `absence_scores`.
        settings: Name the score in use.
    """
    spec = bundle.spec
    if spec.logs is None or _lacks_score(spec, settings.detect):
        return bundle
    scorer = build_scorer(bundle, settings)
    position = {feature.name: f for f, feature in enumerate(spec.features)}
    wanted = {position[one.feature] for one in spec.logs.templates if not one.is_shared}
    of_feature = {
        spec.features[f].name: tuple(float(f"{score:.4g}") for score in scores.tolist())
        for f, scores in absence_scores(spec, scorer, history, sorted(wanted)).items()
    }
    templates = tuple(
        replace(one, absence=() if one.is_shared else of_feature.get(one.feature, ()))
        for one in spec.logs.templates
    )
    absences = Absences(score=scorer.score_name, steps=tried_steps(spec.window_length))
    return of_logs(bundle, replace(spec.logs, templates=templates, absences=absences))


def absence_rows(spec: ModelSpec, detect: DetectConfig) -> Iterator[tuple[str, str]]:
    """Yield of which templates a disappearance is not seen, as a row of the training report.

    Args:
        spec: Of a model of logs.
        detect: How it is judged.
    """
    tried = _Tried.by(spec, detect)
    if tried is None or spec.logs is None:
        return
    templates = spec.logs.templates
    own = [one for one in templates if one.absence]
    lost = [one for one in own if tried.seen_after(one) is None]
    n_shared = sum(one.is_shared for one in templates)
    if not lost and not n_shared:
        return
    named = _listed([f'"{printable(one.text, 60)}"' for one in lost])
    where = f"for {spec.window_length:,} steps" if spec.window_length > 1 else "in a session"
    text = (
        f"{len(lost):,} of {len(own):,} with a feature of their own{named}: without a line of it "
        f"{where}, even where most come, the score {tried.absences.score} does not rise above its "
        f"threshold, {tried.threshold:.3g} at first"
    )
    if n_shared:
        text += f"; and {n_shared:,} that share a feature with others"
    yield "templates whose absence is not seen", f"{text} (model templates BUNDLE lists them)"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tried:
    """What was tried at training, and the threshold in use."""

    absences: Absences
    threshold: float
    """Of a new series."""

    @classmethod
    def by(cls, spec: ModelSpec, detect: DetectConfig) -> "_Tried | None":
        """Return it; None where nothing was tried, or another score is in use."""
        absences = None if spec.logs is None else spec.logs.absences
        if absences is None or _lacks_score(spec, detect):
            return None
        if score_name(spec, detect) != absences.score:
            return None
        return cls(absences=absences, threshold=first_threshold(spec, detect, absences.score))

    def seen_after(self, template: LogTemplate) -> int | None:
        """Return after how many steps the absence of a template is seen; None if it is not."""
        return self.absences.seen_after(template, self.threshold)


def _lacks_score(spec: ModelSpec, detect: DetectConfig) -> bool:
    """Return whether a training could not give what the settings ask for: that is told."""
    return bool([*lacking(detect, spec)])


def print_templates(folder: Path, against: Path | None, config: Path | None = None) -> None:
    """Print the templates of a bundle, or what changed since another one.

    Args:
        folder: The bundle.
        against: The other one.
        config: Tells how lines are judged; None: see `load_settings`.
    """
    spec = load_bundle(folder).spec
    logs, console = _logs_of(spec, folder), open_console()
    if against is None:
        console.print(
            _templates_table(logs, spec, load_settings(config, judged=judged(spec)).settings.detect)
        )
        return
    before = _logs_of(load_bundle(against).spec, against)
    carried = carry_over(before, logs)
    console.print(_changes(carried))
    console.print(_changes_table(before, logs, carried))


def _logs_of(spec: ModelSpec, folder: Path) -> LogSpec:
    if spec.logs is None:
        raise ConfigError(f"bundle {folder}: found a model of readings, expected one of logs")
    return spec.logs


def _templates_table(logs: LogSpec, spec: ModelSpec, detect: DetectConfig) -> Table:
    what, tried = "session" if spec.has_sessions else "step", _Tried.by(spec, detect)
    title = f"{len(logs.templates):,} templates of {logs.lines:,} lines. Absence is seen after: "
    if tried is not None:
        within = f"{spec.window_length:,} {what}{'s' * (spec.window_length > 1)}"
        title += (
            f"{what}s without a line of it, where most come, until the score "
            f"{tried.absences.score} is above the threshold of a new series, "
            f"{tried.threshold:.3g}; never: not within {within}, or it shares its feature"
        )
    elif logs.absences is not None:
        title += f"not known, as the bundle was trained for the score {logs.absences.score}"
    else:
        title += "not known, as the bundle is of an earlier release"
    columns = ("feature", "lines", "absence is seen after", "template", "example")
    table = Table(*columns, title=title, title_justify="left")
    for one in logs.templates:
        seen = _seen(one, tried, what)
        table.add_row(one.feature, f"{one.count:,}", seen, printable(one.text, 300), one.example)
    return table


def _seen(one: LogTemplate, tried: _Tried | None, what: str) -> str:
    if not one.is_shared and (tried is None or not one.absence):
        return "not known"
    after = None if tried is None else tried.seen_after(one)
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
