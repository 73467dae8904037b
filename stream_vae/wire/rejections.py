"""Rejection reasons, and the headers of records on the dead-letter and late topics.

The reasons that begin with `value_`, and `not_an_object` of what a feature's path leads through,
reject a reading only if none of its values can be read: otherwise they cost that feature alone and
are counted by feature and reason. A record that names none of the model's features is no reading
and no dead letter: it is counted as `no_feature` and changes nothing.
"""

from collections.abc import Sequence

from stream_vae.core.excerpts import printable
from stream_vae.core.records import Headers, Rejection

MAX_DETAIL_CHARACTERS = 300
"""Longer details are truncated, since they go into headers and logs."""

MAX_ELEMENTS = 4096
"""Characters of the header that names the readings; beyond it a redrive repeats all of them."""

REASONS: dict[str, str] = {
    "null_value": "The record has no value (a tombstone).",
    "too_large": "The record is longer than input.max_record_bytes.",
    "not_utf8": "The value is not valid UTF-8.",
    "not_json": "The value is not valid JSON.",
    "not_protobuf": "The value is not an OTLP metrics message in protobuf.",
    "not_otlp": "The value is JSON, but not an OTLP metrics message.",
    "not_line_protocol": "A line is not of InfluxDB's line protocol (influx format).",
    "line_missing": "The record has no line, or no event, in the field named for it (log formats).",
    "line_unmatched": "input.series_pattern finds nothing in the line (log formats).",
    "schema_id_missing": "Neither a prefix nor a header names the schema (registry format).",
    "schema_unknown": "The schema registry does not have the schema (registry format).",
    "schema_unusable": "The schema is neither Avro nor JSON, or damaged (registry format).",
    "not_avro": "The value is not Avro of its schema (registry format).",
    "not_an_object": "The value, or what a dotted path leads through, is not a JSON object.",
    "too_deep": "The value is nested deeper than 500 levels.",
    "timestamp_missing": "The timestamp is absent or null.",
    "timestamp_unparsable": "The timestamp is not in the expected format.",
    "timestamp_out_of_range": "The timestamp is not between 1970-01-01 and 2200-01-01.",
    "timestamp_leap": "The timestamp is more than input.max_leap_steps ahead of its series and of "
    "the record's own time, and the reading before does not confirm it.",
    "timestamp_in_future": "The timestamp is more than input.max_future_s ahead of the wall clock.",
    "value_not_a_number": "A numeric feature is neither a number, its text, nor missing.",
    "value_not_a_count": "A count is neither a whole number of 0 or more nor missing.",
    "value_not_binary": "A binary feature is neither true, false, 0, 1, their text, nor missing.",
    "value_not_a_category": "A categorical feature is an object or an array.",
    "value_out_of_range": "A feature is infinite, or beyond what a 64-bit float holds.",
    "value_ambiguous": "Several points of a record are the same feature of the same series.",
    "interval_missing": "A delta sum or histogram does not say when its interval began.",
    "values_missing": "The array of values is absent or null (vector format).",
    "values_not_an_array": "The values are not in an array (vector format).",
    "wrong_length": "The array of values has a length that input.vector does not allow.",
    "key_missing": "Nothing names the series: no key, an empty key, or no series field.",
    "key_not_utf8": "The series key is binary: not UTF-8, or with control characters.",
    "key_not_text": "The series field is neither text nor an integer, or the key no integer.",
    "key_too_long": "The series key is longer than 1024 characters.",
    "late": "The reading is older than the open steps of its series.",
}
"""Stable code -> meaning. Codes are never renamed: dashboards and replay tools depend on them."""

FORWARD_REASONS: dict[str, str] = {
    "not_an_alert": "The record is no alert event, or one of a newer schema version.",
    "receiver_refused": "The receiver refuses this alert event (HTTP 400 and the like).",
    "receiver_unavailable": "The receiver has taken no event for forward.retry_s.",
}
"""The same of alert events that `stream-vae forward` gives up."""


def rejection_headers(  # noqa: PLR0913 - one argument a header
    original_headers: Headers,
    rejection: Rejection,
    *,
    topic: str,
    partition: int,
    offset: int,
    detector: str,
) -> list[tuple[str, bytes | None]]:
    """Return a rejected record's headers: the original ones first and untouched, then ours.

    Args:
        original_headers: Unchanged, including duplicates.
        rejection: Why; `late` for a late reading.
        topic: From which the record was read.
        partition: Of `topic`.
        offset: In `partition`.
        detector: Name of this deployment, to distinguish several consumers of one topic.
    """
    detail = printable(rejection.detail, MAX_DETAIL_CHARACTERS)
    elements = number_ranges(rejection.elements) if rejection.elements else ""
    named = [("dlq.readings", elements.encode())] if 0 < len(elements) <= MAX_ELEMENTS else []
    return [
        *original_headers,
        ("dlq.reason", rejection.reason.encode()),
        ("dlq.detail", detail.encode()),
        ("dlq.source.topic", topic.encode()),
        ("dlq.source.partition", str(partition).encode()),
        ("dlq.source.offset", str(offset).encode()),
        ("dlq.detector", detector.encode()),
        *named,
    ]


def number_ranges(numbers: Sequence[int]) -> str:
    """Return ascending numbers as text.

    >>> number_ranges([1, 2, 3, 7, 9, 10])
    '1-3,7,9-10'
    """
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges)
