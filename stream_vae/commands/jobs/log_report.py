"""What a training on logs tells, and the templates of bundles, as tables."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rich.table import Table

from stream_vae.commands.jobs.log_history import LearntLogs
from stream_vae.commands.jobs.terminal import open_console
from stream_vae.core.excerpts import printable
from stream_vae.core.log_templates import RARE, LogSpec, LogTemplate
from stream_vae.edges.files.bundle_files import load_bundle
from stream_vae.errors import ConfigError
from stream_vae.logs.templates import Carried, carry_over, covered
from stream_vae.models.training.log_advice import advise_on_templates
from stream_vae.models.training.reports import TrainingReport

_OF_COLUMNS = frozenset({"constant", "counter", "near_constant"})
"""Kinds of advice that say to leave a column out, or to take its rate."""
_LISTED = 5


def log_rows(logs: LearntLogs) -> list[tuple[str, str]]:
    """Return what was learnt of lines, as rows of the training report."""
    spec = logs.spec
    own = [one for one in spec.templates if not is_rare(one)]
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
                "beats of a clock, so that few that are missing, or too many, are noticed",
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


def log_advice(report: TrainingReport, logs: LearntLogs) -> TrainingReport:
    """Return the report with advice on logs in place of that on columns.

    No line of the training is `unseen`, so that this feature is 0 throughout. Of sessions that are
    all alike a constant is the best model that there is.
    """
    left_out = _OF_COLUMNS | {"no_better_than_constant"} if logs.of_sessions else _OF_COLUMNS
    others = [one for one in report.advice if one.kind not in left_out]
    own = advise_on_templates(logs.by_series, logs.spec, covered(logs.spec))
    return replace(report, advice=(*own, *others))


def print_templates(folder: Path, against: Path | None) -> None:
    """Print the templates of a bundle, or what changed since another one."""
    logs, console = _logs_of(folder), open_console()
    if against is None:
        console.print(_templates_table(logs))
        return
    carried = carry_over(_logs_of(against), logs)
    console.print(_changes(carried))
    console.print(_changes_table(_logs_of(against), logs, carried))


def is_rare(template: LogTemplate) -> bool:
    """Return whether a feature counts a template together with others."""
    return template.feature.startswith(f"{RARE}.") and template.feature != template.id


def _logs_of(folder: Path) -> LogSpec:
    logs = load_bundle(folder).spec.logs
    if logs is None:
        raise ConfigError(f"bundle {folder}: found a model of readings, expected one of logs")
    return logs


def _templates_table(logs: LogSpec) -> Table:
    title = f"{len(logs.templates):,} templates of {logs.lines:,} lines"
    table = Table("feature", "lines", "template", "example", title=title, title_justify="left")
    for one in logs.templates:
        table.add_row(one.feature, f"{one.count:,}", printable(one.text, 300), one.example)
    return table


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
