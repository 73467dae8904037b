"""What a model bundle holds, as tables."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
from rich.table import Table

from stream_vae.commands.jobs.fault_tables import fault_tables
from stream_vae.commands.jobs.terminal import open_console
from stream_vae.commands.jobs.train_report import tried_table
from stream_vae.core.excerpts import printable
from stream_vae.core.model_spec import Feature
from stream_vae.core.warm_up import first_alert
from stream_vae.edges.files.bundle_files import load_bundle
from stream_vae.models.bundle import Bundle
from stream_vae.models.provenance import TrimmedSpan
from stream_vae.models.scores.tracked import Fused
from stream_vae.models.training.calibration import NETWORK, member_names

_MAX_CATEGORIES = 8


def print_bundle(folder: Path) -> None:
    """Verify a bundle and print what it holds."""
    bundle = load_bundle(folder)
    spec = bundle.spec
    table = Table(title=f"Model {spec.id}", show_header=False, title_justify="left")
    table.add_row("version", spec.version)
    table.add_row("trained at", spec.trained_at.isoformat())
    table.add_row("window", f"{spec.window_length} steps of {spec.step_seconds:g} s")
    table.add_row("first alert", first_alert(spec))
    table.add_row("default score", spec.score)
    shape = "  ".join(f"{name} {value}" for name, value in asdict(bundle.architecture).items())
    table.add_row("architecture", shape)
    table.add_row(
        "training data", f"{bundle.training.rows:,} rows, {bundle.training.series} series"
    )
    table.add_row("data SHA-256", bundle.training.data_sha256)
    if spec.logs is not None:
        text = f"{len(spec.logs.templates):,} of {spec.logs.lines:,} lines; see model templates"
        table.add_row("log templates", text)
    for name, quantiles in spec.calibration.items():
        at = {level: quantiles[round(level * (len(quantiles) - 1))] for level in (0.5, 0.99, 1.0)}
        text = "  ".join(f"q{level:g} {value:.4g}" for level, value in at.items())
        table.add_row(f"calibration, {name}", text)
    for row in _member_rows(bundle):
        table.add_row(*row)
    for span in bundle.training.trimmed:
        table.add_row("refitted without", _in_words(span))
    has_rules = any(feature.rule for feature in spec.features)
    features = Table("feature", "kind", "unit", "scaled by", *["rule"] * has_rules)
    for i, feature in enumerate(spec.features):
        scaling = scaling_text(feature, float(spec.scaler.mean[i]), float(spec.scaler.std[i]))
        rule = [feature.rule.text if feature.rule else ""] * has_rules
        features.add_row(feature.name, feature.kind, feature.unit, scaling, *rule)
    console = open_console()
    console.print(table)
    console.print(features)
    if bundle.training.search:
        console.print(tried_table(bundle.training.search))
    if bundle.training.faults is not None:
        for found in fault_tables(bundle.training.faults):
            console.print(found)


def _member_rows(bundle: Bundle) -> Iterator[tuple[str, str]]:
    """Yield the members of the score `fused` and how they compare with a constant."""
    usual = bundle.spec.tracking.get(Fused.name)
    if usual is None or not usual.against_constant.any():  # an earlier release compared none
        return
    names = (NETWORK, *member_names(bundle.training.config))
    found = zip(names, usual.against_constant, usual.is_useful, strict=True)
    yield (
        "squared error against a constant's",
        "  ".join(
            f"{name} {ratio:.2f}{'' if kept else ' (left out)'}" for name, ratio, kept in found
        ),
    )


def _in_words(span: TrimmedSpan) -> str:
    start, end = (np.datetime64(ns // 10**9, "s") for ns in (span.start_ns, span.end_ns))
    windows = f"{span.windows:,} window{'s' * (span.windows != 1)}"
    return f"{printable(span.series or 'all')}: {start}Z to {end}Z, {windows}"


def scaling_text(feature: Feature, mean: float, std: float) -> str:
    """Return how the model scales a feature, or which values it knows."""
    match feature.kind:
        case "numeric":
            return f"mean {mean:.6g}, standard deviation {std:.6g}"
        case "count":
            return f"log(1 + count): mean {mean:.6g}, standard deviation {std:.6g}"
        case "binary":
            return "0 and 1"
        case "categorical":
            shown = ", ".join(feature.categories[:_MAX_CATEGORIES])
            rest = len(feature.categories) - _MAX_CATEGORIES
            return f"{shown} and {rest} more" if rest > 0 else shown
