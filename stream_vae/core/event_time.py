"""Event times as dates."""

from datetime import UTC, datetime, timedelta

END_NS = 7_258_118_400 * 10**9
"""2200-01-01T00:00:00Z: there are no later times; int64 itself ends in 2262."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def utc(time_ns: int) -> datetime:
    """Return a time in nanoseconds since 1970 as a date, cut to microseconds.

    >>> utc(1_500_000_999).isoformat()
    '1970-01-01T00:00:01.500000+00:00'
    """
    return _EPOCH + timedelta(microseconds=time_ns // 1000)
