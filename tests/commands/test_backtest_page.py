"""The report as a page: all text escaped, nothing from elsewhere, no complaint of a browser."""

import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from stream_vae.commands.jobs.backtest_page import report_page
from stream_vae.commands.jobs.backtest_pictures import CaptionedPicture
from stream_vae.detect.rates import Rates
from stream_vae.evaluate.report import OURS, BacktestReport, DataFacts, Measured, ModelFacts
from tests.deploy.debian import installed_tool, or_skip
from tests.limits import slowness

EVIL = "<script>alert(1)</script>\"><img src=http://evil.example/x onerror='alert(2)'>"

_RANKING = ("average_precision", "roc_auc", "vus_pr", "best_f1")
_OWN = (
    *("precision", "recall", "f1", "spans", "spans_found", "spans_missed", "span_recall"),
    *("incidents", "false_incidents", "incident_precision", "false_incidents_per_series_week"),
    *("delay_median_s", "delay_90_s"),
)


def make_report() -> BacktestReport:
    """Return a report in which every text is an attack, and one figure is not defined."""
    own = {**dict.fromkeys(_OWN, 0.5), "delay_90_s": np.nan}
    ranking = Measured(
        figures=dict.fromkeys(_RANKING, 0.75),
        intervals=dict.fromkeys(_RANKING, (0.25, 0.875)),
    )
    return BacktestReport(
        model=ModelFacts(
            id=EVIL,
            version="0" * 64,
            trained_at="2026-01-01T00:00:00+00:00",
            score=EVIL,
            threshold=EVIL,
            window_length=8,
            step_seconds=60.0,
            features=(EVIL, "level"),
        ),
        data=DataFacts(
            files=(EVIL,),
            readings=10,
            series=1,
            evaluated=10,
            anomalous=2,
            without_score=1,
            spans=1,
        ),
        detector=Measured(figures=own, intervals={}),
        asked=Rates(above=0.02, incidents=None),
        realised=Rates(above=0.025, incidents=None),
        methods={OURS: ranking, EVIL: ranking},
        level=0.95,
        resampling="bootstrap over whole series",
        replicates=10,
        baselines_trained_on=EVIL,
        notes=(EVIL, "a note"),
    )


def make_page() -> str:
    picture = CaptionedPicture(name="one", caption=EVIL, draw=lambda: Figure(figsize=(1, 1)))
    return report_page(make_report(), [picture])


class Elements(HTMLParser):
    """Collects tags, attributes and text of a page; checks that tags are closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in {"meta", "link", "img", "source"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_text_of_the_data_is_escaped() -> None:
    """Control: it is there, as text."""
    elements = Elements(make_page())
    assert "script" not in elements.tags
    assert elements.tags.count("img") == 1
    assert not [name for _, name, _ in elements.attributes if name.startswith("on")]
    assert sum(EVIL in text for text in elements.texts) > 5
    assert elements.open == []


def test_the_page_refers_to_nothing_outside_of_it() -> None:
    elements = Elements(make_page())
    loaded = [
        value
        for _, name, value in elements.attributes
        if name in {"src", "srcset", "href", "data", "action", "poster"}
    ]
    assert len(loaded) == 2
    assert all(value.startswith("data:") for value in loaded)
    style = "".join(elements.texts[i] for i in range(len(elements.texts)))
    assert "@import" not in style
    assert not re.search(r"url\s*\(", style)


def test_the_page_has_a_light_and_a_dark_form() -> None:
    page = make_page()
    _, dark = page.split("@media (prefers-color-scheme: dark)")
    assert "img { filter: invert" in dark


def test_figures_have_their_intervals_and_undefined_ones_a_dash() -> None:
    texts = Elements(make_page()).texts
    assert texts.count("0.750 (0.250 to 0.875)") == 8
    assert texts[texts.index("detection delay, 90 %") + 1] == "-"


@pytest.mark.slow
def test_a_browser_has_nothing_to_say(tmp_path: Path) -> None:
    """The page's own policy lets a browser complain of any request. Control: one with a request."""
    browser = str(or_skip(installed_tool, "chromium", "chromium"))

    def complaints(page: str) -> list[str]:
        path = tmp_path / "page.html"
        path.write_text(page)
        flags = ("--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr")
        done = subprocess.run(
            [browser, *flags, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", str(path)],
            capture_output=True,
            text=True,
            timeout=100 * slowness(),
            check=True,
        )
        assert "Backtest of" in done.stdout
        return [line for line in done.stderr.splitlines() if "CONSOLE" in line]

    page = make_page()
    assert complaints(page) == []
    loading = page.replace("<h2>Pictures", '<img src="http://127.0.0.1:9/x.png"><h2>Pictures')
    assert complaints(loading) != []
