"""What readers of the board get: JSON, bounded, with nothing in it that could control a page."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream_vae.core.excerpts import printable
from stream_vae.core.expected_interval import expected_interval
from stream_vae.core.log_templates import LINES, RARE, UNSEEN, LogSpec
from stream_vae.core.model_spec import Feature, ModelSpec
from stream_vae.core.series_index import SeriesName
from stream_vae.page.board import PageBoard, Summary
from stream_vae.page.bounds import FEATURES, FOUND
from stream_vae.page.histories import ACTUAL, DEVIATION, EXPECTED, STD, JudgedSteps, SeriesSteps
from stream_vae.page.news import IncidentsPart, Part
from stream_vae.page.shapes import number, of_name, of_ranked

_CATEGORIES = 50
_TIMES_MORE = 1.5
"""By which a feature must deviate more than one that is drawn, to be drawn in its place."""
_LEAST_DEVIATION = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """How far a reader has got with the steps of a series."""

    life: int = -1
    total: int = 0
    features: tuple[int, ...] = ()
    """Those that are drawn, in the order of the model."""


class PageView:
    """Shapes what a board holds. For one thread, not the loop's.

    Args:
        board: The board.
        spec: Of the model.
        topic: The input topic.
    """

    def __init__(self, board: PageBoard, spec: ModelSpec, topic: str) -> None:
        self._board = board
        self._features = spec.features
        self._titles = {} if spec.logs is None else _titles(spec.logs)
        self._step_s = spec.step_seconds
        self._version = 0
        self._series, self._dead_letters = Part(), Part()
        self._incidents = IncidentsPart(topic)

    def watch(self, names: Collection[SeriesName], *, is_watched: bool) -> None:
        """Say what is looked at.

        Args:
            names: Series whose steps are drawn.
            is_watched: Whether anybody looks at all.
        """
        self._board.watched = frozenset(names)
        self._board.is_watched = is_watched

    def news(self, version: int) -> tuple[int, list[tuple[str, bytes]]]:
        """Return what a reader lacks of what is shown of all series.

        Args:
            version: As it was returned before; 0 for a new reader.

        Returns:
            The newest version, and names and JSON of the parts that have changed since.
        """
        summary = self._board.summary
        if summary.version != self._version:
            self._version = summary.version
            self._renew(summary)
        parts = {
            "series": self._series.since(version),
            "incidents": self._incidents.since(version),
            "dead_letters": self._dead_letters.since(version),
        }
        changed = [(name, content) for name, content in parts.items() if content is not None]
        return self._version, changed

    def steps(self, name: SeriesName, cursor: object) -> tuple[Cursor, bytes] | None:
        """Return the steps of a watched series that a reader lacks, or None if it has all.

        Args:
            name: Of the series.
            cursor: As it was returned before; None for a new reader.
        """
        held = self._board.steps.get(name)
        if held is None:
            return None
        before = cursor if isinstance(cursor, Cursor) else Cursor()
        features = self._drawn(held.steps, before.features)
        reached = Cursor(life=held.life, total=held.total, features=features)
        if reached == before:
            return None
        n = held.total - before.total
        goes_on = (held.life, features) == (before.life, before.features)
        is_new = not goes_on or n > len(held.steps)
        n = len(held.steps) if is_new else n
        content = self._of_steps(name, held, features, n) | {"is_new": is_new}
        return reached, msgspec.json.encode(content)

    def search(self, text: str) -> bytes:
        """Return the series whose keys contain a text, shortest first, as JSON."""
        wanted, found = text.casefold(), []
        for name in self._board.names():
            if name is not None and wanted in name[1].casefold():
                found.append(name)
                if len(found) >= 20 * FOUND:
                    break
        chosen = sorted(found, key=lambda name: (len(name[1]), name[1], name[0]))[:FOUND]
        rows = [self._of_found(name) for name in chosen]
        return msgspec.json.encode({"series": rows, "is_all": len(rows) == len(found)})

    # Summary

    def _renew(self, summary: Summary) -> None:
        """Take a new summary: firing incidents first, each part with what has changed in it."""
        version, known = summary.version, summary.incidents
        self._series.renew(
            version,
            {
                "n_series": summary.n_series,
                "newest_at": None if summary.newest_at is None else summary.newest_at / 1e6,
                "ranking": [
                    {
                        **of_ranked(one),
                        "firing": one.name in summary.firing,
                        "quiet": summary.quiet.get(one.name, ""),
                    }
                    for one in summary.ranking
                ],
            },
        )
        firing = [one for one in known if one.is_firing]
        ended = [one for one in known if not one.is_firing]
        self._incidents.renew(version, [*firing, *summary.untold, *ended])
        counts = dict(sorted(summary.counts.items(), key=lambda item: -item[1]))
        self._dead_letters.renew(version, {"counts": counts, "newest": summary.dead_letters})

    def _of_found(self, name: SeriesName) -> dict[str, Any]:
        ranked = self._board.ranked(name)
        if ranked is not None:
            return of_ranked(ranked)
        return {**of_name(name), "score": None, "threshold": None, "at": None}

    # Steps

    def _drawn(self, steps: JudgedSteps, before: tuple[int, ...]) -> tuple[int, ...]:
        """Return the features to draw: those that deviate most, and rather those drawn before."""
        n = len(self._features)
        if n <= FEATURES:
            return tuple(range(n))
        worst = np.nan_to_num(steps.values[DEVIATION]).max(axis=0, initial=0.0)
        order = np.argsort(-worst, kind="stable")[:FEATURES].tolist()
        if len(before) == FEATURES:
            least = max(float(worst[list(before)].min()) * _TIMES_MORE, _LEAST_DEVIATION)
            if not any(worst[f] > least for f in order if f not in before):
                return before
        return tuple(sorted(order))

    def _of_feature(self, feature: Feature) -> dict[str, Any]:
        return {
            "name": printable(self._titles.get(feature.name, feature.name), 200),
            "unit": printable(feature.unit, 20),
            "kind": feature.kind,
            "categories": [printable(one, 60) for one in feature.categories[:_CATEGORIES]],
        }

    def _of_steps(
        self, name: SeriesName, held: SeriesSteps, drawn: Sequence[int], n: int
    ) -> dict[str, Any]:
        newest = slice(len(held.steps) - n, None)
        steps = held.steps
        return {
            **of_name(name),
            "step_ms": self._step_s * 1000,
            "quiet": held.quiet,
            "n_features": len(self._features),
            "features": [self._of_feature(self._features[f]) for f in drawn],
            "t": (steps.times[newest] / 1e6).tolist(),
            "score": _numbers(steps.score[newest]),
            "threshold": _numbers(steps.threshold[newest]),
            "values": [_columns(self._features[f], steps.values[:, newest, f]) for f in drawn],
        }


def _titles(logs: LogSpec) -> dict[str, str]:
    """Return what features count that are named for programs."""
    titles = {LINES: "all lines", UNSEEN: "lines never seen in training"}
    for template in reversed(logs.templates):  # of several the most frequent is named
        is_rare = template.feature.startswith(f"{RARE}.")
        titles[template.feature] = f"rare: {template.text}, …" if is_rare else template.text
    return titles


def _columns(feature: Feature, values: NDArray[np.float64]) -> list[list[float | None]]:
    """Return actual, expected, and the ends of the interval in which most values were expected.

    Of a binary feature expected is the probability of 1; categories have no interval.
    """
    actual, expected, std = values[ACTUAL], values[EXPECTED], values[STD]
    unknown = np.full(len(actual), np.nan)
    match feature.kind:
        case "count" | "numeric":
            low, high = expected_interval(feature, expected, std)
        case "binary":
            low, high = np.where(np.isnan(expected), np.nan, 0.0), expected
        case _:
            low = high = unknown
    return [_numbers(column) for column in (actual, expected, low, high)]


def _numbers(values: NDArray[np.float64]) -> list[float | None]:
    """Return values with a few significant digits; None where there is no number."""
    return [number(one) for one in values.tolist()]
