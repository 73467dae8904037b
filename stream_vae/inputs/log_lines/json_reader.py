"""Input formats `log_lines` and `log_events` of JSON: an object is a line, or an event."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from stream_vae.core.excerpts import printable
from stream_vae.core.records import RecordBatch
from stream_vae.errors import DecodeError
from stream_vae.inputs.decode_errors import DecodeErrors
from stream_vae.inputs.json_elements import JsonElementParser
from stream_vae.inputs.json_records import fields_of
from stream_vae.inputs.log_lines.cleaning import TextCounts, repaired
from stream_vae.inputs.log_lines.line_builder import FoundTexts, LineBuilder
from stream_vae.inputs.log_lines.lines import LineReader, LogLines
from stream_vae.inputs.log_lines.log_format import LogFormat
from stream_vae.inputs.record_layout import Elements, RecordLayout, ValueField, split_path

DEFAULT_EVENT_FIELD = "template|event_id"
_FIELDS_TOLD = 20


class JsonLineReader(LineReader):
    """Reads records that are JSON objects, or arrays of them.

    Args:
        fmt: The operator's choices.
        of_events: Each is an event that is parsed already (`log_events`); its text is that of the
            message field, where there is one, else its id or template.

    Raises:
        ConfigError: If paths contradict each other, or a pattern cannot be used.
    """

    def __init__(self, fmt: LogFormat, *, of_events: bool = False) -> None:
        self._builder = LineBuilder(fmt)
        self._of_events = of_events
        event = fmt.event_field or (DEFAULT_EVENT_FIELD if of_events else None)
        message = fmt.message_field or ""
        self._main = event if of_events and event else message
        self._setting = "input.event_field" if of_events else "input.message_field"
        path, _, other = self._main.partition("|")
        value = ValueField(
            path=split_path(path),
            type=str | None,
            other=split_path(other) if other else None,
        )
        # What stands beside it: other texts, and the level.
        beside = message if of_events else event or ""
        texts = [name for name in beside.split("|") if name]
        levels = [fmt.level_field] if fmt.level_field else []
        keys = fmt.session_field.split("|") if fmt.session_field else []
        self._layout = RecordLayout(fmt, [value], labels=[*texts, *levels, *keys])
        self._beside = self._layout.labels[: len(texts)]
        self._level = self._layout.labels[len(texts)] if levels else None
        self._sessions = self._layout.labels[len(texts) + len(levels) :]
        self._elements = JsonElementParser(self._layout, fmt.max_record_bytes)

    def read(self, batch: RecordBatch, errors: DecodeErrors) -> LogLines:
        """See `LineReader.read`."""
        counts = TextCounts()
        batch = replace(batch, values=repaired(batch.values, counts))
        elements = self._elements.parse(batch, errors)
        elements, main = self._present(batch, elements, errors)
        beside = self._texts_beside(elements)
        texts, templates = main, beside
        if self._of_events:
            texts, templates = main if beside is None else _either(beside, main), main
        found = FoundTexts(
            rows=elements.rows,
            texts=texts,
            series=self._layout.series_of(elements),
            times=self._layout.times_of(elements),
            levels=None if self._level is None else self._layout.column(self._level, elements),
            templates=templates,
            sessions=self._session_keys(elements),
            numbers=elements.numbers,
            sizes=elements.sizes,
            empty=elements.empty,
        )
        return self._builder.build(batch, found, counts, errors)

    def _main_texts(self, elements: Elements) -> list[str | None]:
        found = self._layout.cells_of(elements)
        if self._layout.values[0].other is not None and None in found:
            others = self._layout.others_of(0, elements.structs)
            found = [b if a is None else a for a, b in zip(found, others, strict=True)]
        return found if elements.is_strict else list(map(_text, found))

    def _texts_beside(self, elements: Elements) -> list[str] | None:
        """Return the texts that stand beside, "" where there is none; None if none is asked for."""
        if not self._beside:
            return None
        columns = [map(_text, self._layout.column(field, elements)) for field in self._beside]
        return [next(filter(None, row), "") for row in zip(*columns, strict=True)]

    def _session_keys(self, elements: Elements) -> list[Any] | None:
        """Return the first key that the fields have of each element; None if none is asked for."""
        if not self._sessions:
            return None
        columns = [self._layout.column(field, elements) for field in self._sessions]
        return [
            next((key for key in row if key not in (None, "")), None)
            for row in zip(*columns, strict=True)
        ]

    def _present(
        self, batch: RecordBatch, elements: Elements, errors: DecodeErrors
    ) -> tuple[Elements, list[str]]:
        """Return the elements that have their text, and these; the others are rejected."""
        texts = self._main_texts(elements)
        present = [text for text in texts if text is not None]
        if len(present) == len(texts):
            return elements, present
        kept: list[int] = []
        for position, text in enumerate(texts):
            if text is not None:
                kept.append(position)
                continue
            row = int(elements.rows[position])
            error = self._missing(batch.values[row])
            if elements.numbers is None or elements.sizes is None:
                errors.reject(row, error)
            else:
                numbers = [elements.numbers[position]]
                errors.reject_elements(row, numbers, elements.sizes[position], error)
        return elements.take(kept, elements.rows[np.array(kept, dtype=np.int64)]), present

    def _missing(self, raw: bytes | None) -> DecodeError:
        names = ", ".join(fields_of(raw)[:_FIELDS_TOLD]) or "no field"
        what = "event's id or template" if self._of_events else "line"
        detail = (
            f"no field {printable(self._main.replace('|', ' or '))}; found {names}; expected the "
            f"{what} in a field that {self._setting} names"
        )
        return DecodeError("line_missing", detail)


def _either(texts: Sequence[str], others: Sequence[str]) -> list[str]:
    return [text or other for text, other in zip(texts, others, strict=True)]


def _text(found: Any) -> str | None:
    """Return any JSON value as a text; None where there is none."""
    if found is None or isinstance(found, str):
        return found
    if isinstance(found, DecodeError):
        return None
    return json.dumps(found, ensure_ascii=False)
