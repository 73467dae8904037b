"""Lines of logs, and what a model knows of them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stream_vae.inputs.log_lines.levels import levels_in
from stream_vae.inputs.log_lines.line_counts import LineCounter, features_of
from stream_vae.logs.templates import Templates, mine

_LINES = (
    ("INFO request {0} served in {1} ms", "DEBUG cache {0} of 10.0.{1}.7 is warm"),
    ("WARN queue {0} holds {1} jobs", "INFO queue {0} is empty"),
    ("ERROR connection to web-{0} lost after {1} s", "INFO connection to web-{0} is up"),
)
"""For each value a line of those above zero and one of the others."""
_UNSEEN = "FATAL disk {0} of rack {1} is on fire"
_ANOMALOUS = 6.0


def lines_of(values: Sequence[float]) -> list[str]:
    """Return a line for each value; one that no training saw for a large one."""
    lines = []
    for pair, value in zip(_LINES, values, strict=True):
        form = _UNSEEN if value > _ANOMALOUS else pair[value <= 0]
        number = int(abs(value) * 1e6)
        lines.append(form.format(number % 97, number % 89))
    return lines


_TRAINED = [line for k in range(200) for line in lines_of([(-1) ** (k >> i) for i in range(3)])]
LOGS = mine([*_TRAINED, "a rare line", "a rare line"])
"""What the model knows of lines."""
LOG_FEATURES = features_of(LOGS.templates, ("debug", "info", "warn", "error"))
MATCHER = Templates(LOGS)


def counts_of(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (N, F) counts of N steps, each of which has one line or three."""
    counter = LineCounter(LOG_FEATURES, LOGS.templates)
    rows = []
    for step, row in enumerate(values.tolist()):
        lines = lines_of(row)[: 1 + step // 50 % 2 * 2]
        rows.append(counter.vectors(MATCHER.match(lines), levels_in(lines)).sum(axis=0))
    return np.array(rows)
