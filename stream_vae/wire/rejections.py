"""Rejection reasons, and the headers of records on the dead-letter and late topics."""

from stream_vae.core.excerpts import printable
from stream_vae.core.records import Headers, Rejection

MAX_DETAIL_CHARACTERS = 300
"""Longer details are truncated, since they go into headers and logs."""

REASONS: dict[str, str] = {
    "null_value": "The record has no value (a tombstone).",
    "too_large": "The record is longer than input.max_record_bytes.",
    "not_utf8": "The value is not valid UTF-8.",
    "not_json": "The value is not valid JSON.",
    "not_an_object": "The value, or what a dotted path leads through, is not a JSON object.",
    "too_deep": "The value is nested deeper than 500 levels.",
    "timestamp_missing": "The timestamp is absent or null.",
    "timestamp_unparsable": "The timestamp is not in the expected format.",
    "timestamp_out_of_range": "The timestamp is not between 1970-01-01 and 2200-01-01.",
    "timestamp_in_future": "The timestamp is more than input.max_future_s ahead of the wall clock.",
    "value_not_a_number": "A numeric feature is neither a number nor null.",
    "value_not_a_count": "A count is neither a whole number of 0 or more nor null.",
    "value_not_binary": "A binary feature is none of true, false, 0, 1 and null.",
    "value_not_a_category": "A categorical feature is an object or an array.",
    "value_out_of_range": "A feature is infinite, or beyond what a 64-bit float holds.",
    "values_missing": "The array of values is absent or null (vector format).",
    "values_not_an_array": "The values are not in an array (vector format).",
    "wrong_length": "The array of values is not as long as the model has features (vector format).",
    "key_missing": "Nothing names the series: no key, an empty key, or no series field.",
    "key_not_utf8": "The series key is not valid UTF-8.",
    "key_not_text": "The series field is neither text nor an integer.",
    "key_too_long": "The series key is longer than 1024 characters.",
    "late": "The reading is older than the open step of its series.",
}
"""Stable code -> meaning. Codes are never renamed: dashboards and replay tools depend on them."""


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
    return [
        *original_headers,
        ("dlq.reason", rejection.reason.encode()),
        ("dlq.detail", detail.encode()),
        ("dlq.source.topic", topic.encode()),
        ("dlq.source.partition", str(partition).encode()),
        ("dlq.source.offset", str(offset).encode()),
        ("dlq.detector", detector.encode()),
    ]
