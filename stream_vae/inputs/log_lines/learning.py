"""What training sees of lines before there are templates: their texts, events, levels and times."""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from stream_vae.core.records import RecordBatch
from stream_vae.inputs.decode_errors import DecodeErrors
from stream_vae.inputs.json_decoder import JsonDecoder
from stream_vae.inputs.log_lines.levels import LEVELS
from stream_vae.inputs.log_lines.lines import LineReader
from stream_vae.inputs.log_lines.log_format import LogFormat
from stream_vae.inputs.log_lines.readers import as_read, build_line_reader, log_format_name
from stream_vae.inputs.raw_readings import RawReadings


class LineLearner:
    """A parser whose readings have no values: it keeps what it reads.

    Where lines make sessions, those of none are not learnt of.

    Args:
        reader: Of the input format.
    """

    def __init__(self, reader: LineReader) -> None:
        self._reader = reader
        self._texts: list[str] = []
        self._levels = np.zeros(len(LEVELS), np.int64)
        self.events: Counter[str] = Counter()
        """Ids or templates of events that are parsed already -> how many there were."""
        self.examples: dict[str, str] = {}
        """A line of each."""
        self.n_keyless = 0
        """Lines that tell no key of a session, where lines make sessions."""

    @property
    def levels(self) -> tuple[str, ...]:
        """Names of the levels that lines told, ascending."""
        return tuple(
            name for name, n in zip(LEVELS[1:], self._levels[1:].tolist(), strict=True) if n
        )

    @property
    def is_level_the_same(self) -> bool:
        """Whether all lines have one level, so that it tells none apart."""
        return bool(np.count_nonzero(self._levels) == 1)

    def parse(self, batch: RecordBatch, errors: DecodeErrors) -> RawReadings:
        """See `JsonParser.parse`."""
        lines = self._reader.read(batch, errors)
        self._levels += np.bincount(lines.levels, minlength=len(LEVELS))
        texts, templates = lines.texts, lines.templates
        if lines.sessions is not None and None in lines.sessions.keys:
            kept = np.flatnonzero([key is not None for key in lines.sessions.keys]).tolist()
            self.n_keyless += len(texts) - len(kept)
            texts = [texts[n] for n in kept]
            templates = None if templates is None else [templates[n] for n in kept]
        if templates is None:
            self._texts += texts
        else:
            for event, text in zip(templates, texts, strict=True):
                if not event:
                    self._texts.append(text)
                    continue
                self.events[event] += 1
                self.examples.setdefault(event, text)
        return RawReadings(
            index=lines.index,
            series=lines.series,
            times=lines.times,
            record_time_serves=True,
            values=np.zeros((len(lines.index), 0)),
            elements=lines.elements,
            ignored=lines.ignored,
            sessions=lines.sessions,
        )

    def take_texts(self) -> Iterator[str]:
        """Yield the lines read since, those of parsed events left out."""
        texts, self._texts = self._texts, []
        yield from texts


def learner_of(fmt: LogFormat) -> tuple[LineLearner, JsonDecoder]:
    """Return what learns of lines that are read by settings, and the decoder that gives it them.

    Raises:
        ConfigError: If the settings are inconsistent, or a pattern cannot be used.
    """
    name = log_format_name(fmt) or "log_lines"
    learner = LineLearner(build_line_reader(name, fmt))
    return learner, JsonDecoder(learner, as_read(name, fmt))
