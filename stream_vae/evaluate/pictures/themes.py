"""What all pictures share."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from types import MappingProxyType
from typing import Any

import matplotlib as mpl
import matplotlib.dates as mdates
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from stream_vae.core.excerpts import printable

BLUE, ORANGE, RED, GREEN, GREY = "#2f81f7", "#d9822b", "#e5484d", "#2da44e", "#848d97"

_INK = "#1f2328"
_INKED = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
_THEME: Mapping[Any, Any] = MappingProxyType(
    {
        **dict.fromkeys(_INKED, _INK),
        "legend.edgecolor": GREY,
        "grid.color": GREY,
        "grid.alpha": 0.25,
        "axes.grid": True,
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
)
"""matplotlib settings."""

Picture = Callable[[], Figure]
"""Draws in the theme."""


def render_png(picture: Picture, dpi: int = 100) -> bytes:
    """Return a picture as PNG."""
    written = BytesIO()
    with in_theme():
        picture().savefig(written, dpi=dpi, format="png")
    return written.getvalue()


@contextmanager
def in_theme() -> Iterator[None]:
    """Draw in the theme; characters without a glyph become boxes, without a warning."""
    with mpl.rc_context(dict(_THEME)), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        yield


def ink() -> str:
    """Return the text colour of the theme."""
    return str(mpl.rcParams["text.color"])


def plain(text: str, limit: int = 60) -> str:
    r"""Return text from the data so that matplotlib shows it as it stands.

    >>> plain("a$b$")
    'a\\$b\\$'
    """
    return printable(text, limit).replace("$", r"\$")


def to_dates(times: NDArray[np.int64]) -> NDArray[np.datetime64]:
    """Return nanoseconds since 1970 as dates that matplotlib takes."""
    return times.astype("datetime64[ns]").astype("datetime64[us]")


def date_axis(axes: Axes) -> None:
    """Label the horizontal axis with dates."""
    locator = mdates.AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator))


def shade(axes: Axes, spans: Sequence[tuple[Any, Any]], color: str, label: str) -> None:
    """Shade spans along the horizontal axis, each with its start and end there."""
    _shade(axes, spans, color=color, label=label, alpha=0.2)


def mark(axes: Axes, spans: Sequence[tuple[Any, Any]], color: str, label: str) -> None:
    """Mark spans at the upper edge, where shading leaves them visible."""
    _shade(axes, spans, color=color, label=label, alpha=0.9, ymin=0.96)


def _shade(axes: Axes, spans: Sequence[tuple[Any, Any]], *, label: str, **style: Any) -> None:
    for i, (start, end) in enumerate(spans):
        axes.axvspan(start, end, lw=1, label=None if i else label, **style)


def legend(axes: Axes) -> None:
    """Add the legend outside of the drawing, where nothing is hidden."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize="small", frameon=False)
