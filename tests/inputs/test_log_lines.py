"""Records of logs, as shippers write them, become lines or dead letters."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_vae.errors import ConfigError
from stream_vae.inputs.decode_errors import DecodeErrors
from stream_vae.inputs.log_lines.cleaning import TextCounts, clean_texts
from stream_vae.inputs.log_lines.file_lines import FileLines
from stream_vae.inputs.log_lines.levels import LEVELS, LineLevels, levels_in
from stream_vae.inputs.log_lines.line_block import are_plain
from stream_vae.inputs.log_lines.lines import LineReader, LogLines
from stream_vae.inputs.log_lines.log_format import LogFormat
from stream_vae.inputs.log_lines.readers import build_line_reader
from stream_vae.inputs.presets import PRESETS
from stream_vae.inputs.raw_readings import RawReadings, ReadingBuilder
from stream_vae.inputs.reading_format import LogInputFormat, ReadingFormat
from stream_vae.inputs.timestamps import TimestampParser
from stream_vae.logs.digit_shapes import digit_shapes
from tests.inputs.otlp_messages import fixed64, message
from tests.inputs.polls import poll_of

AT = "2025-03-04T13:00:07.250Z"
_PROTO: LogInputFormat = "otlp_logs_proto"
_JSON_LOGS: LogInputFormat = "otlp_logs_json"
TRACE = "ERROR lost\n  File 'a.py'\nValueError: b\n\nINFO on\n"


def reader_of(name: LogInputFormat = "log_lines", **settings: Any) -> LineReader:
    return build_line_reader(name, LogFormat(**settings))


def read(reader: LineReader, values: Sequence[bytes | None]) -> tuple[LogLines, dict[int, str]]:
    """Return the lines of a poll, and of each record that is rejected why."""
    errors = DecodeErrors()
    lines = reader.read(poll_of(values), errors)
    return lines, {one.index: f"{one.reason}: {one.detail}" for one in errors.rejections()}


def content(lines: LogLines) -> list[tuple[Any, ...]]:
    """Return text, level, series, time and template of each line."""
    n = len(lines.texts)
    levels = [LEVELS[level] for level in lines.levels.tolist()]
    columns = (lines.series, lines.times, lines.templates)
    others = [[None] * n if column is None else column for column in columns]
    return list(zip(lines.texts, levels, *others, strict=True))


def as_json(**fields: object) -> bytes:
    return json.dumps(fields).encode()


BEATS = {"@timestamp": AT, "message": "down", "host": {"name": "web-1"}, "log.level": "Error"}
EVENT = {"timestamp": AT, "Template": "took <*> ms", "Content": "took 3 ms", "Level": 4}
SHIPPERS: dict[str, tuple[bytes, dict[str, Any], tuple[Any, ...]]] = {
    "a line": (b"INFO started in 3 ms\r\n", {}, ("INFO started in 3 ms", "info", None, None, None)),
    "Docker": (
        as_json(log="level=warn full\n", stream="stderr", time=AT),
        dict(PRESETS["docker_logs"]),
        ("level=warn full", "warn", None, AT, None),
    ),
    "Filebeat": (
        as_json(**BEATS),
        dict(PRESETS["filebeat"]),
        ("down", "error", "web-1", AT, None),
    ),
    "Fluent Bit": (
        as_json(**{"@timestamp": 1741093207.25, "log": "up"}),
        dict(PRESETS["fluent_bit_logs"]),
        ("up", "none", None, 1741093207.25, None),
    ),
    "Vector": (
        as_json(timestamp=AT, host="web-1", source_type="file", message="[warn] full"),
        dict(PRESETS["vector_logs"]),
        ("[warn] full", "warn", "web-1", AT, None),
    ),
    "a parser of events": (
        as_json(**EVENT),
        {
            "name": "log_events",
            "event_field": "EventId|Template",
            "message_field": "Content",
            "level_field": "Level",
        },
        ("took 3 ms", "warn", None, AT, "took <*> ms"),
    ),
    "a parser without lines": (
        as_json(timestamp=AT, event_id=7),
        {"name": "log_events"},
        ("7", "none", None, AT, "7"),
    ),
    "time and series in the line": (
        b"081109 203615 web-1 db: FATAL gone",
        {"timestamp_pattern": r"^(\d{6} \d{6})", "series_pattern": r"^\S+ \S+ (\S+) (\S+):"},
        ("081109 203615 web-1 db: FATAL gone", "fatal", "web-1/db", "081109 203615", None),
    ),
}


@pytest.mark.parametrize("shipper", SHIPPERS)
def test_the_line_of_a_shipper_is_read(shipper: str) -> None:
    value, settings, expected = SHIPPERS[shipper]
    lines, rejected = read(reader_of(**settings), [value])
    assert rejected == {}
    assert content(lines) == [expected]


GOLDEN = json.loads((Path(__file__).parents[1] / "golden/debian_producers.json").read_text())
RSYSLOG: dict[str, dict[str, Any]] = {
    "plain": dict(PRESETS["rsyslog"]),
    "rfc5424": {
        "timestamp_pattern": r"^<\d{1,3}>1 (\S+) ",
        "series_pattern": r"^\S+ \S+ (\S+) ",
        "message_pattern": r"^(?:\S+ ){6}- +(.*)",
    },
    "json": {"message_field": "message", "level_field": "severity", "series_field": "host"},
}


@pytest.mark.parametrize("template", RSYSLOG)
def test_what_rsyslog_sends_is_read_whatever_its_template(template: str) -> None:
    values = [one.encode("latin-1") for one in GOLDEN["rsyslog_lines"][template]]
    lines, rejected = read(reader_of(**RSYSLOG[template]), values)
    assert rejected == {}
    assert lines.texts == [
        "Accepted publickey for ada from 10.0.0.7 port 50314 ssh2",
        "error: maximum authentication attempts exceeded for root from 10.0.0.9 port 4123 ssh2 "
        "[preauth]",
        "flow 18.4 l/s valve open",
        "caf�: level low",
    ]
    assert lines.series == ["vm"] * 4
    assert TimestampParser("auto").parse(lines.times or []) is not None
    levels = ["none", "error", "none", "none"]  # as the lines alone tell
    if template != "plain":
        levels = ["info", "error", "info", "warn"]
    assert [LEVELS[level] for level in lines.levels.tolist()] == levels


def test_a_line_in_which_the_pattern_finds_no_series_is_rejected_with_both() -> None:
    """Control: the others of the poll are read, and one that follows in its record is its own."""
    reader = reader_of(series_pattern=r"^\S+ (web-\d) ", split_lines=True)
    values = [b"1 web-1 up\nand on\n2 web-2 up", b"web-3: up \x07"]
    lines, _ = read(reader, values)
    assert lines.series is not None
    *named, error = lines.series
    assert named == ["web-1", "web-1", "web-2"]
    assert str(error) == (
        r'line_unmatched: input.series_pattern ^\S+ (web-\d)  finds nothing in "web-3: up"; '
        "expected a group that names the series; does the log have another format now?"
    )


def test_a_line_without_a_year_is_of_the_year_of_its_record() -> None:
    new_year = 1_767_225_600 * 10**9
    lines = ["Dec 31 23:59:58 web-1 a", "<11>Jan  1 00:00:01 b", "Mar 04 13:00:07 c", "none"]
    batch = replace(
        poll_of([line.encode() for line in lines]), timestamps=np.full(4, new_year, np.int64)
    )
    found = reader_of(timestamp_pattern="syslog").read(batch, DecodeErrors())
    expected = ["2025-12-31T23:59:58", "2026-01-01T00:00:01", "2025-03-04T13:00:07", None]
    assert found.times == expected
    for name, line in (("klog", b"E0304 13:00:07.250123"), ("logcat", b"03-04 13:00:07.250  1")):
        batch = replace(poll_of([line]), timestamps=np.array([new_year]))
        found = reader_of(timestamp_pattern=name).read(batch, DecodeErrors())
        assert str((found.times or [""])[0]).startswith("2025-03-04T13:00:07.250")


BAD: dict[str, tuple[bytes, list[str], dict[str, int]]] = {
    "bytes that are not UTF-8": (b"caf\xe9 \xff", ["caf� �"], {"n_replaced": 2}),
    "a long line": (b"x" * 99 + "é".encode(), ["x" * 99], {"n_cut": 1}),
    "a long line of spaces": (b" " * 200 + b"x" + b" " * 200, ["x"], {}),
    "colours": (b"\x1b[1;31mred\x1b[0m \x1b]8;;http://x\x07link\x1b]8;;\x07", ["red link"], {}),
    "control characters": ("a\x00\x7f\tb\x85c\ufeff\x9b2J".encode(), ["a b c"], {}),
    "an empty line": (b" \r\n\t", [], {"n_empty": 1}),
    "nothing but colours": (b"\x1b[0m", [], {"n_empty": 1}),
    "a stack trace": (TRACE.encode(), ["ERROR lost"], {"n_continuation": 4}),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("is_json", [False, True])
def test_what_is_wrong_with_a_line_is_mended_and_counted(case: str, is_json: bool) -> None:
    value, texts, counts = BAD[case]
    reader = reader_of(max_line_bytes=100)
    if is_json:
        reader = reader_of(max_line_bytes=100, message_field="log")
        quoted = json.dumps(value.decode("latin-1"), ensure_ascii=False).encode("latin-1")
        value = b'{"log": %s}' % quoted
    lines, rejected = read(reader, [value, None])
    assert (lines.texts, [*rejected]) == (texts, [1])
    found = {name: getattr(lines, name) for name in ("n_replaced", "n_cut", "n_empty")}
    found["n_continuation"] = lines.n_continuation
    assert found == {"n_replaced": 0, "n_cut": 0, "n_empty": 0, "n_continuation": 0, **counts}
    assert list(lines.ignored) == ([] if texts else [0])


def test_lines_of_a_record_are_split_with_what_belongs_to_each() -> None:
    for join, first in (("first", "ERROR lost"), ("all", "ERROR lost File 'a.py' ValueError: b")):
        reader = reader_of(split_lines=True, join=join)
        lines, rejected = read(reader, [b"one", TRACE.encode(), b"x" * 1_048_577])
        assert lines.texts == ["one", first, "INFO on"]
        assert lines.index.tolist() == [0, 1, 1]
        assert (lines.n_continuation, lines.n_empty) == (2, 1)
        assert rejected[2].startswith("too_large")
        assert lines.elements is not None
        assert [lines.elements(k) for k in range(3)] == [([1], 1), ([1], 2), ([2], 2)]


def test_json_without_its_line_is_a_dead_letter_that_names_its_fields() -> None:
    reader = reader_of(message_field="log|message")
    values = [as_json(msg="x", host={"ip": 1}), as_json(log="y"), as_json(log=None), b"no json"]
    lines, rejected = read(reader, values)
    assert lines.texts == ["y"]
    assert "no field log or message; found msg, host.ip" in rejected[0]
    assert rejected[0].startswith("line_missing")
    assert rejected[2].startswith("line_missing")
    assert rejected[3].startswith("not_json")


def pair(key: str, value: bytes) -> bytes:
    return message((1, key), (2, value))


DRAIN = "log.record.template"
OTLP_PROTO = message(
    (
        1,
        message(
            (1, message((1, pair("host.name", message((1, "web-1")))))),
            (
                2,
                message(
                    (1, message((1, "app"))),
                    (
                        2,
                        fixed64(1, 5)
                        + message(
                            (2, 17),
                            (5, message((1, "lost caf"))),
                            (6, pair("n", message((3, 7)))),
                            (6, pair(DRAIN, message((1, "lost <*>")))),
                        ),
                    ),
                    (2, message((3, "Warning"), (5, message((1, b"\xff")))) + fixed64(11, 6)),
                    (2, message((5, message((6, message((1, pair("a", message((2, 1)))))))))),
                    (2, message((12, "device.boot"), (2, 1))),
                ),
            ),
        ),
    )
)
LOGS: list[dict[str, Any]] = [
    {
        "timeUnixNano": "5",
        "severityNumber": 17,
        "body": {"stringValue": "lost caf"},
        "attributes": [
            {"key": "n", "value": {"intValue": "7"}},
            {"key": DRAIN, "value": {"stringValue": "lost <*>"}},
        ],
    },
    {"observedTimeUnixNano": 6, "severityText": "Warning", "body": {"stringValue": "\x92"}},
    {"body": {"kvlistValue": {"values": [{"key": "a", "value": {"boolValue": True}}]}}},
    {"eventName": "device.boot", "severityNumber": "SEVERITY_NUMBER_TRACE"},
]
OTLP_JSON = as_json(
    resourceLogs=[
        {
            "resource": {"attributes": [{"key": "host.name", "value": {"stringValue": "web-1"}}]},
            "scopeLogs": [{"scope": {"name": "app"}, "logRecords": LOGS}],
        }
    ]
).replace(b"\\u0092", b"\xff")


@pytest.mark.parametrize(("name", "value"), [(_PROTO, OTLP_PROTO), (_JSON_LOGS, OTLP_JSON)])
def test_logs_of_open_telemetry_are_read_in_both_encodings(
    name: LogInputFormat, value: bytes
) -> None:
    reader = reader_of(name, series_field="{resource.host.name}/{scope.name}")
    lines, rejected = read(reader, [value, b"", None])
    assert content(lines) == [
        ("lost caf", "error", "web-1/app", 5, "lost <*>"),
        ("�", "warn", "web-1/app", 6, ""),
        ('{"a": true}', "none", "web-1/app", None, ""),
        ("device.boot", "trace", "web-1/app", None, ""),
    ]
    assert lines.n_replaced == 1
    assert lines.elements is not None
    assert lines.elements(2) == ([3], 4)
    assert {*rejected, *lines.ignored} == {1, 2}
    lines, _ = read(reader_of(name, message_field="a", level_field="attributes.n"), [value])
    assert ("true" in lines.texts, lines.series) == (True, None)
    with pytest.raises(ConfigError, match=r"input\.level_field"):
        reader_of(name, level_field="level")


SESSIONS: dict[str, tuple[LogInputFormat, dict[str, Any], bytes, list[tuple[str | None, bool]]]] = {
    "text": (
        "log_lines",
        {
            "session_pattern": r"job (\w+)(?: part (\w+))?",
            "split_lines": True,
            "session_end_pattern": "^b bye$",  # of the message
            "message_pattern": "^job (.*)",
        },
        f"job a part 1 hi\njob b bye\nhi\njob {'c' * 201} hi".encode(),
        [("a/1", False), ("b", True), (None, False), (None, False)],
    ),
    "a field": (
        "log_lines",
        {"message_field": "log", "session_field": "ids.job", "records_path": "$"},
        as_json(log="x", ids={"job": 7})[:-1].join((b"[", b'}, {"log": "y"}]')),
        [("7", False), (None, False)],
    ),
    "one of two fields": (
        "log_lines",
        {"message_field": "log", "session_field": "trace|ids.job", "records_path": "$"},
        as_json(log="x", ids={"job": 7})[:-1].join((b"[", b'}, {"log": "y", "trace": "t"}]')),
        [("7", False), ("t", False)],
    ),
    "an event": (
        "log_events",
        {"session_pattern": "job (.)", "message_field": "text", "session_end_pattern": "^E5$"},
        as_json(event_id="E5", text="job a"),
        [("a", True)],
    ),
    "OTLP": (
        _PROTO,
        {"session_field": "attributes.request|attributes.n"},
        OTLP_PROTO,
        [("7", False), (None, False), (None, False), (None, False)],
    ),
}


@pytest.mark.parametrize("case", SESSIONS)
def test_lines_tell_the_key_of_their_session_and_what_ends_it(case: str) -> None:
    """Without one, or with one too long to keep, they are of none."""
    name, settings, value, expected = SESSIONS[case]
    lines, _ = read(reader_of(name, **settings), [value])
    assert lines.sessions is not None
    assert list(zip(lines.sessions.keys, lines.sessions.ends.tolist(), strict=True)) == expected


def test_settings_of_sessions_that_contradict_each_other_are_refused() -> None:
    """Control: with neither key lines make no sessions."""
    assert read(reader_of(), [b"x"])[0].sessions is None
    refused: list[dict[str, Any]] = [
        {"session_pattern": "(.)", "session_field": "a"},
        {"session_end_pattern": "bye"},
        {"session_pattern": "no group"},
        {"session_field": "a"},  # of text
    ]
    for settings in refused:
        with pytest.raises((ConfigError, ValueError), match="session_"):
            reader_of(**settings)


def test_lines_of_a_file_are_records_as_a_shipper_sends_them() -> None:
    written = 1_767_225_600 * 10**9
    texts = ["none", "1 a", "  at x", "99999999999 b", "2 b", "ValueError: c", "end"]
    lines = [(number, text.encode()) for number, text in enumerate(texts, 1)]
    fmt = LogFormat(timestamp_pattern=r"^(\d+) ")
    apart, together = FileLines(fmt), FileLines(replace(fmt, split_lines=True))
    assert list(apart.joined(lines)) == lines
    records = [line for _, line in lines]
    assert (apart.times(records, written) // 10**9).tolist() == [1, 1, 1, 1, 2, 2, 2]
    assert (apart.times([b"end"], written) // 10**9).tolist() == [2]
    joined = list(together.joined(lines))
    assert joined == [
        (1, b"none"),
        (2, b"1 a\n  at x"),
        (4, b"99999999999 b"),
        (5, b"2 b\nValueError: c"),
        (7, b"end"),
    ]
    records = [record for _, record in joined]
    assert (together.times(records, written) // 10**9).tolist() == [1, 1, 1, 2, 2]


def test_lines_that_tell_no_year_are_of_the_last_one_before_their_file_was_written() -> None:
    """With none that can be read, the record has the time at which that was."""
    written = 1_767_225_600 * 10**9  # 2026-01-01
    lines = FileLines(LogFormat(timestamp_pattern="syslog", timestamp_zone="UTC"))
    assert lines.times([b"Feb 30 00:00:00 x", b"y"], written).tolist() == [written] * 2
    texts = [b"x", b"Mar  4 13:00:07 y", b"Feb 30 00:00:00 z", b"Jan  1 00:00:01 z"]
    days = lines.times(texts, written).astype("datetime64[ns]").astype("datetime64[D]")
    assert days.astype(str).tolist() == ["2025-03-04", "2025-03-04", "2025-03-04", "2026-01-01"]


def test_a_line_that_tells_no_time_is_of_its_records() -> None:
    """A zone's repeated hour and times that are read one by one do not change that."""
    stamps = np.array([7, 7, 0, 7], dtype=np.int64) * 10**9
    for first in ("2026-10-25 02:30:00", "2016-12-31T23:59:60Z"):
        batch = replace(poll_of([b"x"] * 4), timestamps=stamps)
        raw = RawReadings(
            index=np.arange(4),
            series=None,
            times=[first, None, None, "no time"],
            values=np.ones((4, 1)),
            record_time_serves=True,
        )
        builder = ReadingBuilder(ReadingFormat(timestamp_zone="Europe/Berlin"))
        for kept, read in (([0, 1], [0, 1]), ([0, 1, 2, 3], [0, 1])):
            part = replace(
                raw,
                index=np.array(kept),
                times=[(raw.times or [])[k] for k in kept],
                values=np.ones((len(kept), 1)),
            )
            decoded = builder.build(batch, part, DecodeErrors(), 2 * 10**18, None)
            assert decoded.index.tolist() == read
            assert decoded.readings.times[1] == 7 * 10**9
            assert decoded.n_repeated_hour == (first > "2026")


LEVELS_OF_LINES = {
    "2015-07-29 17:41:44,747 - WARN  [QuorumPeer] - Notification": "warn",
    "[Sun Dec 04 04:47:44 2005] [error] mod_jk child in error state 6": "error",
    "03-17 16:13:38.811  1702  2395 D WindowManager: printFreezing": "debug",
    "<11>Dec 10 06:55:46 web-1 db[1]: gone": "error",
    "<192>gone": "none",
    "I0304 13:00:07.250123       1 server.go:12] up": "info",
    "E/ActivityManager( 1): ANR": "error",
    "Warning: full": "warn",
    'time="x" level=fatal msg="gone"': "fatal",
    "WARNING:root:full": "warn",
    "2025-03-04T13:00:07Z INFORMATION up": "info",
    "an error occurred in INFO_FILE of ERRORS": "none",
    "x" * 128 + " ERROR too late": "none",
    "ERROR": "error",
    "é ERR ü": "error",
}


_WORDS_OF_LINES = ["ERROR", "error:", "[warn]", "level=info", "informational", "<11>", "a.b", "#01"]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 140),
            st.lists(st.sampled_from(_WORDS_OF_LINES), max_size=4),
            st.text("aE /_\u00e9\t", max_size=12),
        ),
        min_size=1,
        max_size=6,
    ),
    st.integers(100, 200),
)
def test_lines_that_need_no_cleaning_are_known_at_once(
    drawn: list[tuple[int, list[str], str]], max_bytes: int
) -> None:
    """Whatever needs cleaning is left to it."""
    lines = ["x" * n + " " + " ".join(words) + end for n, words, end in drawn]
    cleaned = clean_texts(lines, max_bytes, TextCounts())
    if are_plain(lines, max_bytes):
        assert cleaned == lines
    else:
        assert cleaned != lines or not "".join(lines).isascii() or "#0" in "".join(lines)


def test_lines_tell_their_levels_whatever_stands_beside_them() -> None:
    lines = list(LEVELS_OF_LINES)
    assert [LEVELS[code] for code in levels_in(lines)] == list(LEVELS_OF_LINES.values())
    assert [LEVELS[int(levels_in([line])[0])] for line in lines] == list(LEVELS_OF_LINES.values())
    found = LineLevels().find([*lines, *lines], digit_shapes([*lines, *lines]))
    assert [LEVELS[code] for code in found] == 2 * list(LEVELS_OF_LINES.values())


READERS = [
    reader_of(max_line_bytes=64),
    reader_of(split_lines=True, max_line_bytes=64, timestamp_pattern=r"(\d+)", join="all"),
    reader_of(message_field="m|log", level_field="level", event_field="e", max_line_bytes=64),
    reader_of(message_field="m", records_path="logs", split_lines=True),
    reader_of("log_events", message_field="m"),
    reader_of(_PROTO),
    reader_of(_JSON_LOGS),
]
_PIECES = [b"\n", b"\r\n", b"\x1b[3", b"m", b"\xff", "é".encode(), b" at x", b"<11>", b"E0304 "]
_SIGNS = st.lists(st.sampled_from([*_PIECES, b"ERROR", b"x" * 40]), max_size=9).map(b"".join)
_TEXTS = st.sampled_from(["a", "7", "\x1b[0m", "é\n\n at b", "\ud800", "", "error: x"])
_FIELDS = st.dictionaries(
    st.sampled_from(["m", "log", "level", "e", "template", "logs", "timestamp"]),
    _TEXTS | st.none() | st.integers() | st.lists(st.fixed_dictionaries({"m": _TEXTS}) | _TEXTS),
)
_JSON = _FIELDS.map(lambda found: json.dumps(found).encode())
_OTLP = st.builds(
    lambda value, at, sign: value[:at] + sign + value[at + len(sign) :],
    st.sampled_from([OTLP_PROTO, OTLP_JSON]),
    st.integers(0, 200),
    st.binary(max_size=2),
)
VALUES = st.lists(st.none() | st.binary() | _JSON | _SIGNS | _OTLP, max_size=6)


@given(values=VALUES, which=st.sampled_from(range(len(READERS))))
def test_any_bytes_are_lines_or_a_dead_letter_by_themselves(
    values: list[bytes | None], which: int
) -> None:
    lines, rejected = read(READERS[which], values)
    assert {*lines.index.tolist(), *rejected, *lines.ignored} == set(range(len(values)))
    alone = [read(READERS[which], [value]) for value in values]
    assert content(lines) == [line for each, _ in alone for line in content(each)]
    assert rejected == {row: why[0] for row, (_, why) in enumerate(alone) if why}
    for name in ("n_cut", "n_replaced", "n_empty", "n_continuation"):
        assert getattr(lines, name) == sum(getattr(each, name) for each, _ in alone)
    for text in lines.texts:
        assert 0 < len(text.encode()) <= 16_384
        assert text == text.strip()
        assert not any(ord(sign) < 32 or 127 <= ord(sign) < 160 for sign in text)
