"""The report of a backtest as one HTML file: no script, and nothing loaded from elsewhere."""

from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from html import escape

from stream_vae import __version__
from stream_vae.commands.jobs.backtest_pictures import CaptionedPicture
from stream_vae.commands.jobs.backtest_tables import (
    RANKING_TITLES,
    detector_rows,
    detector_title,
    figure_text,
)
from stream_vae.core.excerpts import printable
from stream_vae.evaluate.fault_words import (
    METHOD_TITLES,
    method_cells,
    sizes_title,
    smallest_of,
    verdicts,
)
from stream_vae.evaluate.pictures.themes import render_png
from stream_vae.evaluate.report import OURS, BacktestReport
from stream_vae.models.provenance import FaultTrials

_STYLE = """
:root { color-scheme: light dark; --ground: #ffffff; --ink: #1f2328; --line: #d1d9e0;
  --soft: #f6f8fa; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #0d1117; --ink: #e6edf3; --line: #3d444d; --soft: #161b22; }
  img { filter: invert(0.93) hue-rotate(180deg); } }
body { background: var(--ground); color: var(--ink); margin: 2rem auto; max-width: 1240px;
  padding: 0 1rem; font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
table { border-collapse: collapse; } caption { text-align: left; padding: .3rem 0; }
th, td { border: 1px solid var(--line); padding: .3rem .7rem; text-align: left; }
td.figure { text-align: right; font-variant-numeric: tabular-nums; }
thead th { background: var(--soft); } tr.ours { font-weight: 600; }
.wide { overflow-x: auto; } figure { margin: 1.5rem 0; } img { max-width: 100%; height: auto; }
figcaption { color: var(--ink); opacity: .8; } li { overflow-wrap: anywhere; }
"""
# A page from a file may load what it likes; this one says that it loads nothing.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def report_page(report: BacktestReport, pictures: Iterable[CaptionedPicture]) -> str:
    """Return the page; all text from the data is escaped."""
    title = _text(f"Backtest of {report.model.id}")
    body = [
        f"<h1>{title}</h1>",
        _facts(report),
        f"<h2>At the detector's own threshold</h2>\n<p>{_text(detector_title(report))}</p>",
        _table([], [[name, text] for name, text in detector_rows(report)]),
        "<h2>Ranking</h2>",
        _methods(report),
        *([] if report.faults is None else _faults(report.faults)),
        "<h2>How to read this</h2>",
        "<ul>" + "".join(f"<li>{_text(note)}</li>" for note in report.notes) + "</ul>",
        "<h2>Pictures</h2>",
        *(_figure(picture) for picture in pictures),
        f"<p>stream-vae {_text(__version__)}</p>",
    ]
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            # An icon of no content, which a browser would ask a server for.
            '<link rel="icon" href="data:,">',
            f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>",
            *body,
            "</body>\n</html>\n",
        ]
    )


def _facts(report: BacktestReport) -> str:
    model, data = report.model, report.data
    rows = [
        ["model", f"{model.id}, version {model.version[:12]}, trained at {model.trained_at}"],
        ["window", f"{model.window_length} steps of {model.step_seconds:g} s"],
        ["features", f"{len(model.features)}: {', '.join(model.features)}"],
        ["files", ", ".join(data.files)],
        [data.what, f"{data.readings:,} in {data.series:,} series"],
        ["evaluated", f"{data.evaluated:,}, of which {data.anomalous:,} are labelled anomalous"],
        ["labelled spans", f"{data.spans:,}"],
        ["baselines trained on", report.baselines_trained_on or "there are none"],
    ]
    return _table([], rows)


def _methods(report: BacktestReport) -> str:
    names = list(report.methods[OURS].figures)
    rows = [
        [
            f"{method}, {report.model.score}" if method == OURS else method,
            *(figure_text(measured, name) for name in names),
        ]
        for method, measured in report.methods.items()
    ]
    intervals = f"With {report.level:.0%} intervals: {report.resampling}."
    caption = f"<p>{_text(intervals)}</p>\n" if report.replicates else ""
    return caption + _table(["method", *(RANKING_TITLES[name] for name in names)], rows)


def _faults(trials: FaultTrials) -> Iterator[str]:
    """Yield the section on injected faults."""
    yield "<h2>Is it any good?</h2>"
    yield _table([], [*verdicts(trials, is_apart=True)])
    if trials.sizes:
        kinds, rows = smallest_of(trials)
        yield f"<p>{_text(sizes_title(trials))}</p>"
        yield _table(["feature", *kinds], [[name, *found] for name, found in rows], first="")
        yield _table(METHOD_TITLES, method_cells(trials))


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], first: str = "ours") -> str:
    cells = "".join(f'<th scope="col">{_text(name)}</th>' for name in header)
    lines = [f"<thead><tr>{cells}</tr></thead>"] if header else []
    for number, (name, *values) in enumerate(rows):
        kind = f' class="{first}"' if header and number == 0 and first else ""
        align = ' class="figure"' if header else ""
        cells = "".join(f"<td{align}>{_text(value)}</td>" for value in values)
        lines.append(f'<tr{kind}><th scope="row">{_text(name)}</th>{cells}</tr>')
    return '<div class="wide"><table>\n' + "\n".join(lines) + "\n</table></div>"


def _figure(picture: CaptionedPicture) -> str:
    caption, drawn = _text(picture.caption), _data_url(render_png(picture.draw))
    return (
        f'<figure>\n<img src="{drawn}" alt="{caption}">\n<figcaption>{caption}</figcaption>\n'
        "</figure>"
    )


def _data_url(png: bytes) -> str:
    return f"data:image/png;base64,{b64encode(png).decode()}"


def _text(text: str) -> str:
    return escape(printable(text, 2000), quote=True)
