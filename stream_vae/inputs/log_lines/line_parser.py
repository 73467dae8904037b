"""Records of logs to raw readings: each line is one, of counts that are 0 or 1."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.excerpts import printable
from stream_vae.core.log_templates import LogTemplate
from stream_vae.core.model_spec import Feature
from stream_vae.core.records import RecordBatch
from stream_vae.inputs.decode_errors import DecodeErrors
from stream_vae.inputs.decoder import LineCounts, OddLine
from stream_vae.inputs.log_lines.line_counts import LineCounter
from stream_vae.inputs.log_lines.lines import LineReader, LogLines
from stream_vae.inputs.raw_readings import RawReadings

MatchLines = Callable[[Sequence[str], Sequence[bytes] | None], NDArray[np.int32]]
"""From N lines, and their shapes if known, to the number of each one's template; -1: none."""

_UNSEEN = -1
_REPLACED = "\ufffd"
EXAMPLE_LENGTH = 200
"""Characters of a line that is shown as an example."""


class LineParser:
    """Finds lines, and which of the model's templates each is of.

    Args:
        reader: Of the input format.
        features: F of the model.
        templates: Of the model.
        match: Of lines that are not parsed yet.
        mask: What is done to lines that are shown as examples.
    """

    def __init__(
        self,
        reader: LineReader,
        features: Sequence[Feature],
        templates: Sequence[LogTemplate],
        match: MatchLines,
        mask: Callable[[str], str] = str,
    ) -> None:
        self._reader = reader
        self._match, self._mask = match, mask
        self._of_event = {template.pattern: n for n, template in enumerate(templates)}
        self._counter = LineCounter(features, templates)

    def parse(self, batch: RecordBatch, errors: DecodeErrors) -> RawReadings:
        """See `JsonParser.parse`."""
        lines = self._reader.read(batch, errors)
        templates = match_lines(lines, self._of_event, self._match)
        unseen = np.flatnonzero(templates == _UNSEEN)
        return RawReadings(
            index=lines.index,
            series=lines.series,
            times=lines.times,
            record_time_serves=True,
            values=self._counter.vectors(templates, lines.levels),
            elements=lines.elements,
            ignored=lines.ignored,
            templates=templates,
            sessions=lines.sessions,
            lines=_counts(lines, unseen.tolist(), self._mask),
            unseen=_texts_of(lines.texts, unseen) if len(unseen) else None,
        )


def _texts_of(texts: Sequence[str], unseen: NDArray[np.int64]) -> NDArray[Any]:
    """Return (N,) the texts of some lines, None of the others."""
    found = np.full(len(texts), None, object)
    found[unseen] = [texts[n] for n in unseen.tolist()]
    return found


def _counts(lines: LogLines, unseen: Sequence[int], mask: Callable[[str], str]) -> LineCounts:
    """Return what a poll held, with the lines of no template."""
    texts, index = lines.texts, lines.index
    odd: dict[OddLine, int | None] = {"unseen": unseen[0] if unseen else None}
    if lines.n_cut:
        odd["cut"] = max(range(len(texts)), key=lambda n: len(texts[n]), default=None)
    keys = () if lines.sessions is None else lines.sessions.keys
    if n_keyless := keys.count(None):
        odd["no_session"] = keys.index(None)
    if lines.n_replaced:
        odd["not_utf8"] = next((n for n, text in enumerate(texts) if _REPLACED in text), None)
    examples: dict[OddLine, tuple[int, str]] = {
        what: (int(index[n]), printable(mask(texts[n]), EXAMPLE_LENGTH))
        for what, n in odd.items()
        if n is not None
    }
    if lines.ignored:
        examples["empty"] = (lines.ignored[0], "")
    return LineCounts(
        n_known=len(texts) - len(unseen),
        n_unseen=len(unseen),
        n_empty=lines.n_empty,
        n_cut=lines.n_cut,
        n_replaced=lines.n_replaced,
        n_continuation=lines.n_continuation,
        n_keyless=n_keyless,
        examples=examples,
    )


def match_lines(
    lines: LogLines, of_event: Mapping[str, int], match: MatchLines
) -> NDArray[np.int32]:
    """Return (N,) number of each line's template; -1: none of the model's.

    Args:
        lines: N
        of_event: Id or template of events that are parsed already -> number.
        match: Of the others.
    """
    if lines.templates is None:
        return match(lines.texts, lines.shapes)
    numbers = np.array([of_event.get(event, _UNSEEN) for event in lines.templates], np.int32)
    plain = np.flatnonzero([not event for event in lines.templates])
    if len(plain):
        numbers[plain] = match([lines.texts[n] for n in plain.tolist()], None)
    return numbers
