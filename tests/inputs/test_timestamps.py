from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from stream_vae.core.event_time import END_NS
from stream_vae.errors import DecodeError
from stream_vae.inputs.timestamps import (
    FixedFormat,
    RawTime,
    TimestampParser,
    format_times,
)

S = 10**9
# 20,570 days of 86,400 s and 13 h.
NOON_1 = (20_570 * 86_400 + 13 * 3600) * S

instants = st.integers(min_value=0, max_value=END_NS - 1)


def reason_of(parser: TimestampParser, raw: RawTime) -> str:
    with pytest.raises(DecodeError) as caught:
        parser.parse_one(raw)
    return caught.value.reason


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-04-27T13:00:00Z", NOON_1),
        ("2026-04-27t13:00:00z", NOON_1),
        ("2026-04-27 13:00:00Z", NOON_1),
        ("2026-04-27T15:00:00+02:00", NOON_1),
        ("2026-04-27T07:30:00-05:30", NOON_1),
        ("2026-04-27T13:00:00-00:00", NOON_1),
        ("2026-04-27T13:00:00.5Z", NOON_1 + S // 2),
        ("2026-04-27T13:00:00.123456789Z", NOON_1 + 123_456_789),
        ("2026-04-27T13:00:00.1234567899Z", NOON_1 + 123_456_789),
        ("1970-01-01T00:00:00Z", 0),
        ("2200-01-01T00:30:00+01:00", END_NS - 1800 * S),
        ("2026-04-27T13:00Z", NOON_1),
        ("2026-04-27T13:00:00,5Z", NOON_1 + S // 2),
        ("2026-04-27 13:00:00+00", NOON_1),
        ("2026-04-27T10:00:00.019-0300", NOON_1 + 19_000_000),
        ("2026-04-27 18:30:00 +0530", NOON_1),
        ("2026-04-27 13:00:00 UTC", NOON_1),
        ("2026-04-27 15:00:00 +0200 CEST", NOON_1),
        ("2026-04-27T15:00:00+02:00[Europe/Berlin]", NOON_1),
        # The leap seconds of 2016, seen from Greenwich and from Paris.
        ("2016-12-31T23:59:60Z", 1_483_228_800 * S - 1),
        ("2017-01-01T00:59:60+01:00", 1_483_228_800 * S - 1),
    ],
)
def test_rfc3339_text_is_read_to_the_nanosecond(text: str, expected: int) -> None:
    assert TimestampParser("rfc3339").parse_one(text) == expected
    assert TimestampParser("auto").parse_one(text) == expected


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (None, "timestamp_missing"),
        ("", "timestamp_unparsable"),
        ("now", "timestamp_unparsable"),
        ("today", "timestamp_unparsable"),
        ("NaT", "timestamp_unparsable"),
        ("20260427", "timestamp_unparsable"),
        ("202604271300", "timestamp_unparsable"),
        ("27/04/2026 13:00", "timestamp_unparsable"),
        ("27.04.2026 13:00", "timestamp_unparsable"),
        ("31.04.2026 13:00 Z", "timestamp_unparsable"),
        ("2026-04-27", "timestamp_unparsable"),
        ("2026-04-27T13:00:00", "timestamp_unparsable"),
        ("2026-02-30T13:00:00Z", "timestamp_unparsable"),
        ("2026-13-01T13:00:00Z", "timestamp_unparsable"),
        ("2026-04-27T24:00:00Z", "timestamp_unparsable"),
        ("2026-04-27T13:00:60Z", "timestamp_unparsable"),
        ("2026-04-27T13:00:61Z", "timestamp_unparsable"),
        ("2026-04-27T13:00:00+24:00", "timestamp_unparsable"),
        ("2026-04-27T13:00:00+01:60", "timestamp_unparsable"),
        ("2026-04-27T13:00:00Z\n", "timestamp_unparsable"),
        ("٢٠٢٦-04-27T13:00:00Z", "timestamp_unparsable"),
        ("0001-01-01T00:00:00Z", "timestamp_out_of_range"),
        ("1969-12-31T23:59:59Z", "timestamp_out_of_range"),
        ("1970-01-01T00:00:00+00:01", "timestamp_out_of_range"),
        ("2200-01-01T00:00:00Z", "timestamp_out_of_range"),
        ("2199-12-31T23:30:00-01:00", "timestamp_out_of_range"),
        ("9999-12-31T23:59:59Z", "timestamp_out_of_range"),
        (-1, "timestamp_out_of_range"),
        (-0.5, "timestamp_out_of_range"),
        (10**40, "timestamp_out_of_range"),
        (float("inf"), "timestamp_out_of_range"),
        (float("nan"), "timestamp_unparsable"),
    ],
)
def test_what_is_no_time_gets_its_reason(raw: RawTime, reason: str) -> None:
    assert reason_of(TimestampParser("auto"), raw) == reason


@pytest.mark.parametrize(
    ("fmt", "raw", "expected"),
    [
        ("s", 1_700_000_000, 1_700_000_000 * S),
        ("s", 1_700_000_000.25, 1_700_000_000 * S + S // 4),
        ("s", "1700000000", 1_700_000_000 * S),
        ("s", "1700000000.25", 1_700_000_000 * S + S // 4),
        ("s", "17e8", 1_700_000_000 * S),
        ("ms", 5, 5_000_000),
        ("us", "7", 7_000),
        ("ns", 1_700_000_000_123_456_789, 1_700_000_000_123_456_789),
        ("ns", "1700000000123456789", 1_700_000_000_123_456_789),
        ("auto", 1_700_000_000, 1_700_000_000 * S),
        ("auto", "1700000000", 1_700_000_000 * S),
        ("auto", "1700000000123", 1_700_000_000_123_000_000),
        ("auto", "1700000000.5", 1_700_000_000 * S + S // 2),
        ("auto", 1_700_000_000_123, 1_700_000_000_123_000_000),
        ("auto", 1_700_000_000_123_456, 1_700_000_000_123_456_000),
        ("auto", 1_700_000_000_123_456_789, 1_700_000_000_123_456_789),
        ("auto", 1_700_000_000.5, 1_700_000_000 * S + S // 2),
        ("auto", 1_700_000_000_123.5, 1_700_000_000_123_500_000),
    ],
)
def test_epoch_numbers_are_read_in_their_unit(
    fmt: FixedFormat, raw: RawTime, expected: int
) -> None:
    assert TimestampParser(fmt).parse_one(raw) == expected


@pytest.mark.parametrize(
    ("fmt", "raw"), [("rfc3339", 1_700_000_000), ("s", "2026-04-27T13:00:00Z"), ("ms", "1_000")]
)
def test_a_fixed_format_reads_nothing_else(fmt: FixedFormat, raw: RawTime) -> None:
    assert reason_of(TimestampParser(fmt), raw) == "timestamp_unparsable"


def test_too_large_a_number_of_a_fixed_unit_is_out_of_range() -> None:
    """Milliseconds read as seconds, the usual mistake."""
    assert reason_of(TimestampParser("s"), 1_700_000_000_123) == "timestamp_out_of_range"
    assert reason_of(TimestampParser("s"), "1700000000123") == "timestamp_out_of_range"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-04-27 13:00:00", NOON_1),
        ("2026-04-27T13:00", NOON_1),
        ("2026-04-27 13:00:00.250", NOON_1 + S // 4),
        ("2026-04-27", NOON_1 - 13 * 3600 * S),
        ("2026-04-27T15:00:00+02:00", NOON_1),
        ("27.04.2026 13:00", NOON_1),
        ("27.4.2026, 13:00:00,25", NOON_1 + S // 4),
        ("2026/04/27 13:00", NOON_1),
        ("27-Apr-2026 13:00:00", NOON_1),
        ("27/Apr/2026:15:00:00 +0200", NOON_1),
        ("Mon, 27 Apr 2026 13:00:00 GMT", NOON_1),
        ("20260427T150000+02", NOON_1),
    ],
)
def test_with_a_zone_offset_and_time_of_day_may_be_missing(text: str, expected: int) -> None:
    assert TimestampParser("auto", zone="UTC").parse_one(text) == expected


@pytest.mark.parametrize("text", ["now", "", "4/3/2026", "2026-04-27T1", "1_000"])
def test_times_are_not_guessed_at(text: str) -> None:
    assert reason_of(TimestampParser("auto", zone="UTC"), text) == "timestamp_unparsable"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("2026-04-27 13:00:00", "input.timestamp_zone"),
        ("27.04.2026 13:00", "input.timestamp_zone"),
        ("4/27/2026 1:00 PM", "input.timestamp_format"),
        ("20260427", "%Y%m%d or s"),
        (None, "input.timestamp_field names its field ($record"),
    ],
)
def test_a_refused_time_names_the_setting_that_reads_it(text: str | None, named: str) -> None:
    with pytest.raises(DecodeError) as caught:
        TimestampParser("auto").parse_one(text)
    assert named in caught.value.detail
    with pytest.raises(DecodeError) as caught:
        TimestampParser("auto", advice="options").parse_one(text)
    assert "input." not in caught.value.detail


WALL = datetime(2026, 4, 27, 13, 0, 5, 250_000)  # noqa: DTZ001 - of any clock


@pytest.mark.parametrize(
    "pattern",
    [
        "%d/%m/%Y %H:%M:%S",
        "%m/%d/%Y %I:%M %p",
        "%d-%b-%y %H:%M:%S.%f",
        "%Y%m%d%H%M%S",
        "%H:%M on %A %d %B %Y",  # directives that are read one by one
        "%Y-%j",
    ],
)
@pytest.mark.parametrize("hours", [0, 12, 23])
def test_a_pattern_reads_what_strptime_reads(pattern: str, hours: int) -> None:
    text = (WALL + timedelta(hours=hours)).strftime(pattern)
    expected = datetime.strptime(text, pattern).replace(tzinfo=UTC).timestamp()
    parser = TimestampParser(pattern, zone="UTC")
    assert parser.parse_one(text) == round(expected * 1e6) * 1000
    assert parser.parse([text, text.upper()]) is not None
    assert reason_of(parser, f"{text}0x") == "timestamp_unparsable"
    assert reason_of(parser, "2026-04-27T13:00:00Z") == "timestamp_unparsable"


def test_an_offset_of_a_pattern_is_taken_off() -> None:
    parser = TimestampParser("%d/%b/%Y:%H:%M:%S %z")
    assert parser.parse_one("27/Apr/2026:15:00:00 +0200") == NOON_1


@pytest.mark.parametrize("pattern", ["%H:%M", "%s", "%Y-%m-%d %Z", "iso"])
def test_a_pattern_that_gives_no_date_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        TimestampParser(pattern, zone="UTC")


def test_a_pattern_without_offset_needs_a_zone() -> None:
    with pytest.raises(ValueError, match="timestamp_zone"):
        TimestampParser("%d/%m/%Y")


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="Europe/Berlin"):
        TimestampParser("auto", zone="Mars/Olympus")


BERLIN = TimestampParser("auto", zone="Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "utc", "repeats_s", "skipped"),
    [
        ("2026-07-01 13:00", "2026-07-01T11:00:00Z", 0, 0),
        ("2026-10-25 01:59:59", "2026-10-24T23:59:59Z", 0, 0),
        ("2026-10-25 02:00:00", "2026-10-25T00:00:00Z", 3600, 0),
        ("2026-10-25 02:59:59", "2026-10-25T00:59:59Z", 3600, 0),
        ("2026-10-25 03:00:00", "2026-10-25T02:00:00Z", 0, 0),
        ("2026-03-29 02:30:00", "2026-03-29T01:30:00Z", 0, 1),
        ("2026-10-25 02:30:00+01:00", "2026-10-25T01:30:00Z", 0, 0),
        ("1793063400", "2026-10-27T01:10:00Z", 0, 0),
    ],
)
def test_wall_clock_times_are_of_their_zone(
    text: str, utc: str, repeats_s: int, skipped: int
) -> None:
    read = BERLIN.read_one(text)
    assert format_times(read.times) == [utc]
    assert (0 if read.repeats_ns is None else read.repeats_ns[0]) == repeats_s * S
    assert read.n_skipped == skipped


def test_of_a_repeated_hour_the_one_nearer_to_its_stamp_is_taken() -> None:
    texts = ["2026-10-25 02:30:00"] * 3 + ["2026-10-25 03:30:00"]
    read = BERLIN.read(texts)
    assert read is not None
    first = int(read.times[0])
    stamps = np.array([first + 5 * S, first + 3605 * S, 0, first])
    assert (read.nearest(stamps) - first).tolist() == [0, 3600 * S, 0, 2 * 3600 * S]


@given(
    st.integers(min_value=0, max_value=END_NS // S - 10**6),
    st.sampled_from(
        ["Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Africa/Casablanca"]
    ),
)
def test_an_instant_is_one_of_the_two_that_its_wall_clock_time_means(
    second: int, zone: str
) -> None:
    local = datetime.fromtimestamp(second, ZoneInfo(zone))
    read = TimestampParser("auto", zone=zone).read_one(local.strftime("%Y-%m-%d %H:%M:%S"))
    again = 0 if read.repeats_ns is None else int(read.repeats_ns[0])
    assert second * S in (read.times[0], read.times[0] + again)
    assert (again > 0) == (local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset())


def test_a_line_break_cannot_shift_times_to_neighbours() -> None:
    good = "2026-04-27T13:00:00Z"
    assert TimestampParser("auto").parse([f"{good}\n{good}", "x"]) is None
    assert TimestampParser("auto").parse([f"{good}\n{good}"]) is None
    times = TimestampParser("auto").parse([good, good])
    assert times is not None
    assert times.tolist() == [NOON_1, NOON_1]


def test_integers_beside_fractions_keep_their_last_digit() -> None:
    nanoseconds = 1_700_000_000_123_456_789
    times = TimestampParser("ns").parse([nanoseconds, 0.5])
    assert times is None or times[0] == nanoseconds
    assert TimestampParser("ns").parse_one(nanoseconds) == nanoseconds


@given(instants)
def test_formatted_times_are_read_back(instant: int) -> None:
    [text] = format_times(np.array([instant]))
    assert TimestampParser("rfc3339").parse_one(text) == instant


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (NOON_1 + 10**6, "2026-04-27T13:00:00.001Z"),
        (NOON_1 + 10**3, "2026-04-27T13:00:00.000001Z"),
        (NOON_1 + 1, "2026-04-27T13:00:00.000000001Z"),
    ],
)
def test_times_are_written_with_the_digits_they_need(instant: int, text: str) -> None:
    assert format_times(np.array([instant])) == [text]
    assert format_times(np.array([0, instant]))[1] == text


@given(
    st.integers(min_value=2 * 86_400 * 10**6, max_value=END_NS // 1000 - 2 * 86_400 * 10**6),
    st.integers(min_value=-23 * 60 - 59, max_value=23 * 60 + 59),
)
def test_any_offset_agrees_with_the_standard_library(microseconds: int, minutes: int) -> None:
    utc = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    text = utc.astimezone(timezone(timedelta(minutes=minutes))).isoformat()
    assert TimestampParser("auto").parse_one(text) == microseconds * 1000


@given(st.floats(min_value=1e8, max_value=7e9))
def test_fractional_seconds_keep_what_float64_gives(seconds: float) -> None:
    assert TimestampParser("s").parse_one(seconds) == round(Fraction(seconds) * S)


raw_times = st.one_of(
    st.sampled_from(
        [
            *("2026-04-27T13:00:00Z", "2026-04-27T13:00:00+02:00", "2016-12-31T23:59:60Z"),
            *(
                "2026-04-27 13:00 +02",
                "2026-10-25 02:30",
                "27.04.2026 13:00",
                "2026-04-27 13:00 GMT",
            ),
            *("2026-04-27 13:00:00,5", "20260427", "2026-04-27 15:00:00 +0200 CEST", "2026-04-27"),
        ]
    ),
    instants.map(lambda instant: format_times(np.array([instant]))[0]),
    st.text(max_size=12),
    st.integers(),
    instants,
    instants.map(lambda instant: instant / S),
    instants.map(str),
    st.floats(),
    st.none(),
)


@given(
    st.lists(raw_times, min_size=1, max_size=5),
    st.sampled_from(["auto", "rfc3339", "s", "ns"]),
    st.sampled_from([None, "UTC", "Europe/Berlin"]),
)
def test_each_time_depends_on_its_own_text_alone(
    raw: list[RawTime], fmt: FixedFormat, zone: str | None
) -> None:
    """Many at once and one by one agree, and nothing but a DecodeError ever comes out."""
    parser = TimestampParser(fmt, zone=zone)
    singly: list[int | None] = []
    for one in raw:
        try:
            singly.append(parser.parse_one(one))
        except DecodeError:
            singly.append(None)
    together = parser.parse(raw)
    if together is not None:
        assert together.tolist() == singly


@given(st.lists(instants, min_size=2, max_size=5))
def test_plain_texts_are_read_all_at_once(times: list[int]) -> None:
    """Control for the law above: the fast way is taken where it should be."""
    assume(len(times) > 1)
    parsed = TimestampParser("auto").parse(format_times(np.array(times)))
    assert parsed is not None
    assert parsed.tolist() == times
