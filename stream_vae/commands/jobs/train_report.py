"""What a training tells at its end, as tables."""

from collections.abc import Collection, Iterator, Sequence

from rich.table import Table

from stream_vae.core.excerpts import printable
from stream_vae.core.model_spec import Feature, FeatureKind
from stream_vae.edges.files.csv_header import LABEL
from stream_vae.edges.files.training_data import DataReport
from stream_vae.models.provenance import Tried
from stream_vae.models.training.reports import Advice, LabelReport, TrainingReport

_LISTED_FEATURES = 8
_LISTED_NAMES = 40
"""Features that are listed, all of them; of more, as logs have, the first."""


def report_table(
    data: DataReport,
    report: TrainingReport,
    features: Sequence[Feature],
    *,
    ignored_columns: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
    declared: Collection[str] = (),
    label: str = LABEL,
    stride: int = 1,
    has_steps: bool = True,
    more: Sequence[tuple[str, str]] = (),
) -> Table:
    """Return the closing report of a training.

    Args:
        data: The input.
        report: The training.
        features: Of the model.
        ignored_columns: Columns that are no feature.
        notes: What was found in the files.
        declared: Features whose kind the operator gave: no other one is proposed.
        label: Column of the labels.
        stride: Steps between the starts of two training windows.
        has_steps: Rows are of steps in time, rather than events.
        more: Further rows about the input.
    """
    table = Table(title="Training report", show_header=False, title_justify="left")
    for what, text in (
        *(("input", printable(note, 400)) for note in notes),
        *more,
        *_data_rows(data, has_steps=has_steps),
        *_feature_rows(data, features, ignored_columns, declared),
        *_label_rows(report.labels, label),
        *_advice_rows(report.advice),
    ):
        table.add_row(what, text)
    windows = ", ".join(f"{part} {count:,}" for part, count in report.windows.items())
    if report.folds:
        windows += (
            f" (all rows are fitted; each of {report.folds} blocks is judged by a model of the "
            "others)"
        )
    elif stride > 1:
        windows += f" (those of training begin {stride} steps apart: training.stride)"
    table.add_row("windows", windows)
    table.add_row("epochs", f"{len(report.history)}, best {report.best_epoch}")
    table.add_row(
        "validation log-likelihood",
        f"{report.validation_log_likelihood:.3f} nats per value "
        f"(constant model {report.constant_log_likelihood:.3f})",
    )
    quantiles = report.calibration_quantiles[report.score]
    table.add_row(
        f"calibration, score {report.score}",
        "  ".join(f"q{level:g} {value:.3f}" for level, value in quantiles.items()),
    )
    return table


def _data_rows(data: DataReport, *, has_steps: bool) -> Iterator[tuple[str, str]]:
    """Yield what was read, and what was mended in it."""
    yield "rows", f"{data.rows:,} in {data.series:,} series"
    if data.snapped_rows:
        usual = "; usual: the daemon reads them so too" if data.snapped_rows == data.rows else ""
        yield (
            "rows between two steps, taken for the nearer",
            f"{data.snapped_rows:,}, by {data.snapped_s:.3g} s in the median{usual}",
        )
    step = f"{data.step_seconds:g} s"
    if data.step_is_inferred:
        near = f"; {data.step_agreement:.1%} of the times between rows are near it"
        step += f" (inferred{near if data.step_agreement < 1 else ''})"
    if has_steps:
        yield "step", f"{step}, {data.missing_steps:,} steps missing"
    cells = data.rows * len(data.features)
    handled = {
        "unsorted rows, sorted": data.unsorted_rows,
        "rows of one step, merged": data.duplicate_rows,
        "missing cells": sum(data.missing_cells.values()),
        "infinite cells, taken as missing": sum(data.infinite_cells.values()),
        "steps without a row that show a held value": data.steps_held,
    }
    for what, count in handled.items():
        if count:
            share = f" ({count / cells:.1%} of all)" if "cells" in what else ""
            yield what, f"{count:,}{share}"


def _feature_rows(
    data: DataReport,
    features: Sequence[Feature],
    ignored_columns: tuple[str, ...],
    declared: Collection[str],
) -> Iterator[tuple[str, str]]:
    """Yield the features, their kinds, and what is odd about them."""
    names = tuple(printable(feature.name) for feature in features)
    shown = f"{len(names)}: {', '.join(names)}"
    yield "features", shown if len(names) <= _LISTED_NAMES else _shortened(names)
    rules = tuple(f"{printable(one.name)} {one.rule.text}" for one in features if one.rule)
    if rules:
        yield "rules", _shortened(rules)
    for where, count in data.missing_by_rule.items():
        yield f"missing by rule: {printable(where)}", f"{count:,}"
    for what, found in _kinds_in_words(data, features, declared).items():
        if found:
            yield what, _shortened(found)
    if ignored_columns:
        yield "columns left out", ", ".join(map(printable, ignored_columns))
    if data.mostly_missing_features:
        advice = "little is learnt of them, and they keep windows from being judged: --ignore them"
        yield "mostly missing features", f"{_shortened(data.mostly_missing_features)} ({advice})"
    if data.uneven_features:
        advice = "levels differ between series, yet one scale serves all: train one bundle a kind"
        yield "uneven features", f"{_shortened(data.uneven_features)} ({advice})"


def _label_rows(labels: LabelReport, column: str) -> Iterator[tuple[str, str]]:
    """Yield how many rows are labelled, and what the labels were good for."""
    if not labels.normal + labels.anomalous:
        yield "labels", "none: no score supervised and no labelled threshold"
        return
    counts = f"{labels.anomalous:,} rows labelled 1, {labels.normal:,} labelled 0"
    yield "labels", f"column {printable(column)}: {counts}"
    why = labels.without_supervised
    yield "score supervised", "fitted" if why is None else f"not fitted: {why}"
    why = labels.without_thresholds
    yield "labelled threshold", "chosen" if why is None else f"not chosen: {why}"


def _kinds_in_words(
    data: DataReport, features: Sequence[Feature], declared: Collection[str]
) -> dict[str, tuple[str, ...]]:
    """Return what to say of kinds -> the features of which it is true."""
    advice = {
        f"look like {kind} (declare with --kind NAME={kind})": tuple(
            printable(feature.name)
            for feature in features
            if feature.kind == "numeric"
            and feature.name not in declared
            and data.proposed_kinds.get(feature.name) == kind
        )
        for kind in ("count", "binary")
    }
    return {
        "count features": _of_kind(features, "count"),
        "binary features": _of_kind(features, "binary"),
        "categorical features": tuple(
            f"{printable(feature.name)} ({len(feature.categories)} categories)"
            for feature in features
            if feature.kind == "categorical"
        ),
        **advice,
    }


def _of_kind(features: Sequence[Feature], kind: FeatureKind) -> tuple[str, ...]:
    return tuple(printable(feature.name) for feature in features if feature.kind == kind)


def _advice_rows(advice: tuple[Advice, ...]) -> Iterator[tuple[str, str]]:
    """Yield kind and text; beyond a few of a kind, their number and features."""
    for kind in dict.fromkeys(one.kind for one in advice):
        of_kind = [one for one in advice if one.kind == kind]
        what = kind.replace("_", " ")
        if len(of_kind) > _LISTED_FEATURES:
            about_each = (one.feature or one.series for one in of_kind)
            names = tuple(printable(name) for name in about_each if name is not None)
            yield what, f"{_shortened(names)} ({of_kind[0].text})"
            continue
        for one in of_kind:
            about = printable(one.feature or one.series or "")
            yield what, f"{about}: {one.text}" if about else one.text


def _shortened(names: tuple[str, ...]) -> str:
    rest = len(names) - _LISTED_FEATURES
    more = f" and {rest} more" if rest > 0 else ""
    return f"{len(names)}: {', '.join(names[:_LISTED_FEATURES])}{more}"


def tried_table(tried: Sequence[Tried]) -> Table:
    """Return the trials of a search."""
    table = Table(title="Tried", title_justify="left")
    has_sets = any(one.candidate.members for one in tried)
    columns = ("window", "hidden", "latent", "score", *(["members"] if has_sets else []))
    for column in (*columns, "nats per value", "calibration", "AP", ""):
        table.add_column(column)
    for one in tried:
        shape = one.candidate
        table.add_row(
            *map(str, (shape.window_length, shape.hidden_size, shape.latent_size)),
            shape.score or "auto",
            *([shape.members or "as set"] if has_sets else []),
            "not compared" if one.log_likelihood is None else f"{one.log_likelihood:.3f}",
            "" if one.calibration_error is None else f"off by {one.calibration_error:.3f}",
            "" if one.average_precision is None else f"{one.average_precision:.3f}",
            "kept" if one.is_kept else "",
        )
    return table
