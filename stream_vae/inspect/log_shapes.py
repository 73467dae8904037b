"""Records of logs: how their lines begin, and what in them is time, series and message."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from stream_vae.core.durations import describe_duration
from stream_vae.core.excerpts import printable
from stream_vae.inputs.log_lines.cleaning import TextCounts, clean_texts, decode_text
from stream_vae.inputs.log_lines.levels import levels_of
from stream_vae.inputs.log_lines.line_builder import continuation_of
from stream_vae.inputs.log_lines.line_patterns import SEARCHED_CHARACTERS
from stream_vae.inputs.log_lines.log_format import LogFormat
from stream_vae.inputs.log_lines.yearless_times import YEARLESS
from stream_vae.inspect.labelled_points import SERIES_NAMES, series_rank
from stream_vae.inspect.leaves import at_path, leaves_of
from stream_vae.inspect.proposal import (
    ONE_SERIES,
    SERIES_SETTINGS,
    WHY_ONE_SERIES,
    Proposal,
    held_by_preset,
)
from stream_vae.inspect.session_shapes import SessionFacts

_MESSAGE_FIELDS = ("log", "message", "msg", "MESSAGE", "event.original", "textPayload", "body")
_OF_JSON = ("timestamp_field", "timestamp_format", "timestamp_zone", "series_field", "series")
_LEVEL_NAMES = ("level", "severity", "severity_text", "lvl", "loglevel", "levelname", "log.level")
_FIELDS_TOLD = 20
_FEWEST_WORDS = 3
"""Of a line for people."""
_FEWEST_TEXTS = 10
"""That differ, where nothing else tells that they are lines of a log."""
_USUAL_CONTROLS = "\t\n\r\v\f\x1b"
_MOST_ODD = 0.1
"""Share of the characters of a text."""
_SAMPLE = 1000
_MOSTLY = 0.5
_NEED_ZONE = (
    "these times tell no offset: put the zone of the machines that write them (UTC, Europe/Berlin)"
)
_CLOCK = r"\d{2}:\d{2}:\d{2}"
_HOST = re.compile(r"(?=.*[A-Za-z])(?=.*\d)[A-Za-z0-9][\w.-]*")
_NEARLY_ALL = 0.95
_MOST_HOSTS = 0.05
"""Of the lines; a word that differs more often names no host."""
_USUAL_QUIET_S = 300.0
_LABELLED = re.compile(r"\b(host|hostname|pod|service|instance|container)(=\"?)([\w.-]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """How lines begin."""

    name: str
    time: str
    """Regular expression of the time, or a name that `input.timestamp_pattern` takes."""
    before: str = "^"
    """What stands before it."""
    after: str = r"\S*\s+"
    """What stands between it and the message."""
    format: str = "auto"
    """In `input.timestamp_format`."""
    has_offset: bool = True
    host: str = ""
    """Regular expression whose group is the host."""
    message: str = ""
    """Regular expression whose group is the message; "" what follows the time."""

    @property
    def time_pattern(self) -> str:
        """What `input.timestamp_pattern` is."""
        return self.time if self.time in YEARLESS else f"{self.before}({self.time})"

    @property
    def begins(self) -> re.Pattern[str]:
        """How a line of it begins."""
        yearless = YEARLESS.get(self.time)
        return re.compile(self.time_pattern) if yearless is None else yearless

    @property
    def message_pattern(self) -> str | None:
        """What `input.message_pattern` is; None: the whole line is the message."""
        if self.message or self.time in YEARLESS:
            return self.message or None
        return f"{self.before}{self.time}{self.after}(.*)"


_ISO = rf"\d{{4}}-\d{{2}}-\d{{2}}[T ]{_CLOCK}(?:[.,]\d{{1,9}})?"
_OFFSET = r" ?(?:Z|[+-]\d{2}:?\d{2})"
HEADS = (
    Head(
        name="ISO 8601, host, program (rsyslog)",
        time=rf"{_ISO}{_OFFSET}",
        after=r" \S+ [^:]*: ",
        host=rf"^{_ISO}{_OFFSET} (\S+) ",
    ),
    Head(name="ISO 8601", time=rf"{_ISO}{_OFFSET}", before=r"^\[?"),
    Head(name="ISO 8601 without offset", time=_ISO, before=r"^\[?", has_offset=False),
    Head(
        name="syslog",
        time="syslog",
        has_offset=False,
        host=r"^(?:<\d{1,3}>)?[A-Z][a-z]{2} [ \d]\d \S+ (\S+) ",
        message=r"^(?:<\d{1,3}>)?[A-Z][a-z]{2} [ \d]\d \S+ \S+ (.*)",
    ),
    Head(name="klog", time="klog", has_offset=False),
    Head(name="logcat", time="logcat", has_offset=False),
    Head(
        name="access log of Apache or nginx",
        time=rf"\d{{2}}/[A-Z][a-z]{{2}}/\d{{4}}:{_CLOCK} [+-]\d{{4}}",
        before=r"^\S+ \S+ \S+ \[",
        after=r"\] ",
        format="%d/%b/%Y:%H:%M:%S %z",
    ),
    Head(
        name="error log of Apache",
        time=rf"[A-Z][a-z]{{2}} \d{{2}} {_CLOCK}(?:\.\d{{6}})? \d{{4}}",
        before=r"^\[[A-Z][a-z]{2} ",
        after=r"\] ",
        format="%b %d %H:%M:%S %Y",
        has_offset=False,
    ),
    Head(
        name="year/month/day (nginx, Go)",
        time=rf"\d{{4}}/\d{{2}}/\d{{2}} {_CLOCK}",
        format="%Y/%m/%d %H:%M:%S",
        has_offset=False,
    ),
    Head(
        name="yy/mm/dd (Spark)",
        time=rf"\d{{2}}/\d{{2}}/\d{{2}} {_CLOCK}",
        format="%y/%m/%d %H:%M:%S",
        has_offset=False,
    ),
    Head(
        name="yymmdd HHMMSS (Hadoop)",
        time=r"\d{6} \d{6}",
        format="%y%m%d %H%M%S",
        has_offset=False,
    ),
    Head(name="epoch", time=r"\d{10}(?:\d{3})?(?:\.\d{1,9})?", before=r"^\[?", after=r"\]?\s+"),
    Head(name="label, epoch (BGL)", time=r"\d{10}", before=r"^\S+ ", after=r"\s+"),
)
"""In the order in which they are tried."""


def head_of(lines: Sequence[str]) -> Head | None:
    """Return how most of some lines begin; None: in no known way."""
    sample = [line[:SEARCHED_CHARACTERS] for line in lines[:_SAMPLE]]
    for head in HEADS:
        n = sum(_is_of(head, line) for line in sample)
        if n > _MOSTLY * len(sample):
            return head
    return None


def looks_like_a_log(lines: Sequence[str]) -> bool:
    """Return whether lines are of a log: they begin as such do, or are words for people."""
    if head_of(lines) is not None:
        return True
    words = [line.split() for line in lines[:_SAMPLE] if line.strip()]
    of_words = sum(sum(word[:1].isalpha() for word in line) >= 3 for line in words)
    return bool(words) and of_words > _MOSTLY * len(words)


def is_text(raw: bytes) -> bool:
    """Return whether bytes are text: that of logs may have colours, tabs, and a few odd bytes."""
    counts = TextCounts()
    text = decode_text(raw[:SEARCHED_CHARACTERS], counts).strip()
    n_odd = counts.n_replaced + sum(sign < " " and sign not in _USUAL_CONTROLS for sign in text)
    return bool(text) and n_odd <= _MOST_ODD * len(text)


def lines_of(values: Sequence[bytes]) -> list[str]:
    """Return the begin of records that are text as the daemon reads it."""
    texts = [decode_text(raw[: 4 * SEARCHED_CHARACTERS], TextCounts()) for raw in values]
    return clean_texts(texts, 4 * SEARCHED_CHARACTERS, TextCounts(), first_only=True)


def message_field_of(documents: Sequence[Any]) -> str | None:
    """Return the field of JSON that holds a line for people; None: there is none."""
    sample = documents[:_SAMPLE]
    for name in _MESSAGE_FIELDS:
        found = [at_path(one, name) for one in sample if isinstance(one, dict)]
        texts = [text for text in found if isinstance(text, str) and " " in text.strip()]
        if len(texts) > _MOSTLY * len(sample):
            return name
    return None


def untold_message_field(documents: Sequence[Any]) -> tuple[str | None, str]:
    """Return the field of JSON that holds the line where no usual one does, and a word on it.

    Args:
        documents: Of the sample.

    Returns:
        A field only of what has a level, as logs do; None: there is none. "": nothing is like a
        log.
    """
    sample = documents[:_SAMPLE]
    columns = field_columns(sample)
    has_level = any(
        name.lower().endswith(_LEVEL_NAMES)
        and np.count_nonzero(levels_of([*map(_word, column)])) > _MOSTLY * len(sample)
        for name, column in columns.items()
    )
    words = {
        name: sum(len((text or "").split()) >= _FEWEST_WORDS for text in column)
        for name, column in columns.items()
        if has_level or len(set(column)) >= _FEWEST_TEXTS
    }
    best = max(words, key=words.__getitem__, default="")
    if not best or words[best] <= _MOSTLY * len(sample):
        best = ""
    if not has_level and not best:
        return None, ""
    seen = ", ".join(printable(name, 40) for name in [*columns][:_FIELDS_TOLD])
    lacks = f"no field is called like that of a line ({', '.join(_MESSAGE_FIELDS)})"
    if best and has_level:
        return (
            best,
            f"{lacks}: {printable(best)} is taken, of {seen}; set message_field if it is not",
        )
    told = (
        f"the texts in {printable(best)} may be lines" if best else "they have a level as logs do"
    )
    field = json.dumps(best) if best else "FIELD"
    return None, (
        f"if these are records of a log: {lacks}; {told}. The fields are {seen}. To count lines, "
        f"put `input: {{format: log_lines, message_field: {field}}}` (of ids of events: `{{format: "
        "log_events, event_field: FIELD}`) into a file, and inspect with --config FILE"
    )


def propose_text_log(
    values: Sequence[bytes], *, n_keys: int, given: Mapping[str, Any], of_file: bool = False
) -> Proposal:
    """Return the settings that read records that are lines of text.

    Args:
        values: Of the sample.
        n_keys: Different keys, if they could name the series; else 0.
        given: Settings that the operator has decided.
        of_file: Each is a line of a file, so that those of a stack trace are apart.
    """
    lines = lines_of(values)
    head = _with_host(head_of(lines), lines)
    held = held_by_preset(given)
    settings: dict[str, Any] = {"format": "log_lines"}
    why: dict[str, str] = {}
    notes: list[str] = []
    if head is None and "timestamp_pattern" not in held:
        notes.append(
            "lines do not begin with a time that is known here: Kafka's time of each record is "
            "used; set timestamp_pattern, whose first group is the time, for lines such as "
            f"{printable(next(iter(lines), ''), 80)}"
        )
    elif head is not None:
        for name, value, text in (
            *_of_head(head, lines),
            *(_of_file(head, values) if of_file else ()),
        ):
            if not name:
                notes.append(text)
                continue
            settings[name] = value
            if text:
                why[name] = text
    if not {*given, *held} & SERIES_SETTINGS:
        for name, value, reason in _series(head, lines, n_keys):
            why[name] = reason
            if value is not None:
                settings[name] = value
    return Proposal(
        form="lines of a log",
        # The preset was chosen for lines like these: its patterns are in force.
        settings={name: value for name, value in settings.items() if name not in held},
        features=(),
        why=why,
        notes=tuple(notes),
    )


def _of_head(head: Head, lines: Sequence[str]) -> Iterator[tuple[str, Any, str]]:
    """Yield setting, value and why, of lines that begin so."""
    begin = printable(_first(head, lines), 60)
    yield "timestamp_pattern", head.time_pattern, f"{head.name}, such as {begin}"
    if head.format != "auto":
        yield "timestamp_format", head.format, ""
    if not head.has_offset:
        yield "timestamp_zone", "UTC", _NEED_ZONE
    if head.message_pattern is not None:
        follows = "time and host" if head.message or head.host else "the time"
        yield "message_pattern", head.message_pattern, f"what follows {follows}"


def _of_file(head: Head, values: Sequence[bytes]) -> Iterator[tuple[str, Any, str]]:
    """Yield setting, value and why, or "", None and a note, of lines that are of a file."""
    continues = continuation_of(LogFormat(format="log_lines")).matches
    n = sum(
        continues(decode_text(raw[:SEARCHED_CHARACTERS], TextCounts()))
        and not head.begins.match(line)
        for raw, line in zip(values, lines_of(values), strict=True)
    )
    if n:
        yield "split_lines", True, f"{n:,} lines belong to the one before, as a stack trace does"
    if head.time in YEARLESS:
        yield (
            "",
            None,
            "lines tell no year: it is the last one that is not after the file's own date, which a "
            "copy keeps by cp -p",
        )


def propose_json_log(field: str, found: Proposal, given: Mapping[str, Any]) -> Proposal:
    """Return the settings that read lines in a field of JSON.

    Args:
        field: Of the line.
        found: As readings: what is time and series there.
        given: Settings that the operator has decided.
    """
    told = {**held_by_preset(found.settings), **found.settings}
    settings = {name: told[name] for name in _OF_JSON if name in told}
    settings = {"format": "log_lines", "message_field": field, **settings}
    why = dict(found.why)
    if (series := settings.get("series_field")) and series_rank(series) == len(SERIES_NAMES):
        # Of readings any text may be; of logs it would be the level, or the line itself.
        del settings["series_field"]
        settings["series"], why["series"] = ONE_SERIES, WHY_ONE_SERIES
    held = held_by_preset(given)
    settings = {name: it for name, it in settings.items() if held.get(name, "") != it}
    note = "to read numbers of these records instead, set input.format json"
    return Proposal(
        form=f"a log in JSON, its lines in {printable(field)}",
        settings=settings,
        features=(),
        why={name: text for name, text in why.items() if name in settings},
        notes=(note,),
        other_fields=found.other_fields,
    )


def lines_note(texts: Sequence[str], templates: Sequence[str]) -> str:
    """Return how many templates the lines of a sample have, and the most frequent ones."""
    told = "; ".join(f'"{printable(text, 80)}"' for text in templates[:3])
    return f"{len(texts):,} lines of {len(templates):,} templates, the most frequent {told}"


def _series(
    head: Head | None, lines: Sequence[str], n_keys: int
) -> Iterator[tuple[str, str | None, str]]:
    """Yield the setting that names series, its value, and why; None: it is as it is."""
    hosts = Counter[str]()
    if head is not None and head.host:
        found = (re.match(head.host, line) for line in lines[:_SAMPLE])
        hosts.update(match[1] for match in found if match is not None)
    if head is not None and (len(hosts) > n_keys or (hosts and not n_keys)):
        names = ", ".join(printable(name, 40) for name, _ in hosts.most_common(3))
        yield "series_pattern", head.host, f"the host: {names}"
    elif label := _label_of(lines):
        name, pattern, values = label
        yield "series_pattern", pattern, f"the {name}: {values}"
    elif n_keys:
        yield "format", None, "the record's key names the series"
    else:
        yield "series", ONE_SERIES, WHY_ONE_SERIES


def _with_host(head: Head | None, lines: Sequence[str]) -> Head | None:
    """Return how lines begin, with the host where its name follows the time."""
    if head is None or head.host or head.time in YEARLESS:
        return head
    begin = f"{head.before}{head.time}{head.after}"
    found = [re.match(rf"{begin}(\S+) ", line[:SEARCHED_CHARACTERS]) for line in lines[:_SAMPLE]]
    names = Counter(one[1] for one in found if one is not None and _HOST.fullmatch(one[1]))
    if names.total() < _NEARLY_ALL * len(found) or len(names) > max(_MOST_HOSTS * len(found), 1):
        return head
    return replace(head, host=rf"{begin}(\S+) ", message=rf"{begin}\S+ (.*)")


def _label_of(lines: Sequence[str]) -> tuple[str, str, str] | None:
    """Return name, pattern and values of what lines call host, pod or service, as `host=web-1`."""
    sample = [line[:SEARCHED_CHARACTERS] for line in lines[:_SAMPLE]]
    told = [one.groups() for line in sample for one in _LABELLED.finditer(line)]
    for name, sign in dict.fromkeys((name, sign) for name, sign, _ in told):
        values = Counter(value for *which, value in told if which == [name, sign])
        is_told = values.total() >= _NEARLY_ALL * len(sample)
        if is_told and len(values) <= max(_MOST_HOSTS * len(sample), 1):
            shown = ", ".join(printable(value, 40) for value, _ in values.most_common(3))
            return name, rf"\b{name}{sign}([\w.-]+)", shown
    return None


def propose_sessions(proposal: Proposal, facts: SessionFacts, setting: str, value: str) -> Proposal:
    """Return the settings that judge the lines of an id together.

    Args:
        proposal: That reads the lines.
        facts: The sessions.
        setting: That names their key.
        value: Of it.
    """
    if facts.split > 0:
        proposal = of_one_series(
            proposal, "a session lies within one series, and ids are seen in several"
        )
    settings = {**proposal.settings, setting: value}
    why = {**proposal.why, setting: facts.words}
    if 2 * facts.pause_s > _USUAL_QUIET_S:
        settings["session_quiet_s"] = float(f"{2 * facts.pause_s:.2g}")
        why["session_quiet_s"] = (
            f"twice the longest pause in 99 of 100: {describe_duration(facts.pause_s)}"
        )
    return replace(proposal, settings=settings, why=why)


def of_one_series(proposal: Proposal, reason: str) -> Proposal:
    """Return a proposal under which all lines are of one series, and why."""
    settings = {n: it for n, it in proposal.settings.items() if n not in SERIES_SETTINGS}
    why = {n: text for n, text in proposal.why.items() if n not in SERIES_SETTINGS}
    return replace(
        proposal,
        settings={**settings, "series": ONE_SERIES},
        why={**why, "series": reason},
    )


def field_columns(documents: Sequence[Any]) -> dict[str, list[str | None]]:
    """Return the path of each plain value in documents -> what each has there, as text."""
    return {
        name: [_plain(at_path(document, name)) for document in documents]
        for name, leaf in leaves_of(enumerate(documents)).items()
        if leaf.kinds["text"] or leaf.kinds["number"]
    }


def _word(text: str | None) -> str | None:
    """Return a text; None of a number, which rather measures the level of something."""
    return None if text is None or text.lstrip("-").isdigit() else text


def _plain(value: Any) -> str | None:
    return str(value) if isinstance(value, str | int) and value != "" else None


def _is_of(head: Head, line: str) -> bool:
    if head.message_pattern is not None and not re.match(head.message_pattern, line):
        return False
    return head.begins.match(line) is not None


def _first(head: Head, lines: Sequence[str]) -> str:
    found = filter(None, (head.begins.match(line) for line in lines))
    return next((one[0 if head.time in YEARLESS else 1] for one in found), "")
