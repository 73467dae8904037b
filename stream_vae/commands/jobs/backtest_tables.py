"""The figures of a backtest as tables."""

import math

from rich.table import Table

from stream_vae.commands.jobs.rate_words import rate_rows
from stream_vae.core.durations import describe_duration
from stream_vae.evaluate.intervals import Interval
from stream_vae.evaluate.report import OURS, BacktestReport, Measured

RANKING_TITLES = {
    "average_precision": "average precision",
    "roc_auc": "ROC AUC",
    "vus_pr": "VUS-PR",
    "best_f1": "best F1",
    "point_adjusted_f1": "point-adjusted F1 (inflated)",
}

_TITLES = {
    "precision": "precision of readings",
    "recall": "recall of readings",
    "f1": "F1 of readings",
    "span_recall": "labelled spans found",
    "incident_precision": "incidents on a labelled span",
    "false_incidents": "false incidents",
    "false_incidents_per_series_week": "false incidents per series and week",
    "delay_median_s": "detection delay, median",
    "delay_90_s": "detection delay, 90 %",
}


def detector_rows(report: BacktestReport) -> list[tuple[str, str]]:
    """Return title and text of each figure at the detector's threshold."""
    figures = report.detector.figures
    counts = {
        "span_recall": f"{figures['spans_found']:.0f} of {figures['spans']:.0f}: ",
        "incident_precision": (
            f"{figures['incidents'] - figures['false_incidents']:.0f} of "
            f"{figures['incidents']:.0f}: "
        ),
    }
    rows = [
        (
            title.replace("readings", report.data.what),
            counts.get(name, "") + figure_text(report.detector, name),
        )
        for name, title in _TITLES.items()
        if math.isfinite(figures[name]) or not name.endswith("_week")
    ]
    return [*rows, *rate_rows(report.asked, report.realised)]


def detector_table(report: BacktestReport) -> Table:
    """Return what the detector's own verdicts are worth."""
    data = report.data
    table = Table(title=detector_title(report), show_header=False, title_justify="left")
    table.add_row(
        f"{data.what} evaluated",
        f"{data.evaluated:,} of {data.readings:,} in {data.series:,} series, "
        f"{data.anomalous:,} labelled anomalous",
    )
    for title, text in detector_rows(report):
        table.add_row(title, text)
    return table


def detector_title(report: BacktestReport) -> str:
    """Return which score and threshold the figures are of."""
    return f"Model {report.model.id}, score {report.model.score}, {report.model.threshold}"


def method_table(report: BacktestReport) -> Table:
    """Return how well each method ranks the same readings."""
    interval = f"{report.level:.0%} intervals: {report.resampling}"
    title = "Ranking" + (f" ({interval})" if report.replicates else "")
    table = Table(title=title, title_justify="left")
    table.add_column("method")
    names = list(report.methods[OURS].figures)
    for name in names:
        table.add_column(RANKING_TITLES[name], justify="right")
    for method, measured in report.methods.items():
        shown = f"{method}, {report.model.score}" if method == OURS else method
        style = "bold" if method == OURS else ""
        cells = (
            figure_text(measured, name).replace(" (", "\n(").replace(" to ", "-") for name in names
        )
        table.add_row(shown, *cells, style=style)
    return table


def figure_text(measured: Measured, name: str) -> str:
    """Return a figure and its interval."""
    text = _number(measured.figures[name], name)
    interval: Interval | None = measured.intervals.get(name)
    if interval is None or text == "-":
        return text
    return f"{text} ({_number(interval[0], name)} to {_number(interval[1], name)})"


def _number(value: float, name: str) -> str:
    if not math.isfinite(value):
        return "-"
    if name == "false_incidents":
        return f"{value:,.0f}"
    if name.endswith("_s"):
        return describe_duration(value)
    return f"{value:.3f}" if value < 100 else f"{value:,.0f}"
