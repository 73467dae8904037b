"""What decoding a poll found that is not rejected, as events."""

from collections.abc import Sequence

import numpy as np

from stream_vae.core.excerpts import printable
from stream_vae.core.feature_rules import MissingByRule
from stream_vae.core.readings import CLOSINGS, ReadingBatch
from stream_vae.core.records import RecordBatch
from stream_vae.core.sessions import SessionAssembler
from stream_vae.events import (
    CellsUnreadable,
    Event,
    LinesOdd,
    LinesRead,
    LocalTimesDoubtful,
    RecordsWithoutFeature,
    SessionsClosed,
    SessionsClosedEarly,
)
from stream_vae.inputs.decoder import Decoded, LineCounts, OddLine
from stream_vae.pipeline.stream_fit import NAMES_TOLD, nearest_fields
from stream_vae.wire.rejections import MAX_DETAIL_CHARACTERS


def decoding_events(
    decoded: Decoded, records: RecordBatch, feature_names: Sequence[str]
) -> list[Event]:
    """Return the events of missing values, doubtful times and records that are no readings."""
    events: list[Event] = [
        CellsUnreadable(
            topic=records.topic,
            feature=feature,
            reason=reason,
            count=found.count,
            example_partition=int(records.partitions[found.index]),
            example_offset=int(records.offsets[found.index]),
            example_detail=printable(found.detail, MAX_DETAIL_CHARACTERS),
        )
        for (feature, reason), found in decoded.unreadable.items()
    ]
    doubtful = {
        "repeated_hour": decoded.n_repeated_hour,
        "skipped_hour": decoded.n_skipped_hour,
    }
    events += [
        LocalTimesDoubtful(topic=records.topic, reason=reason, count=count)
        for reason, count in doubtful.items()
        if count
    ]
    if decoded.lines is not None:
        events += _lines_told(decoded.lines, len(decoded.ignored), records)
    elif decoded.ignored:
        example = decoded.ignored[0]
        events.append(
            RecordsWithoutFeature(
                topic=records.topic,
                reason="no_feature",
                count=len(decoded.ignored),
                example_partition=int(records.partitions[example]),
                example_offset=int(records.offsets[example]),
                fields=decoded.ignored_fields[:NAMES_TOLD],
                features=tuple(feature_names[:NAMES_TOLD]),
                nearest_fields=nearest_fields(feature_names, decoded.ignored_fields),
            )
        )
    return events


def _lines_told(lines: LineCounts, n_blank: int, records: RecordBatch) -> list[Event]:
    """Return the events of lines; `n_blank` records hold none."""
    count: dict[OddLine, int] = {
        "unseen": lines.n_unseen,
        "cut": lines.n_cut,
        "not_utf8": lines.n_replaced,
        "empty": n_blank,
        "no_session": lines.n_keyless,
    }
    read = LinesRead(
        topic=records.topic,
        known=lines.n_known,
        unseen=lines.n_unseen,
        empty=lines.n_empty,
        continuation=lines.n_continuation,
        cut=lines.n_cut,
        replaced=lines.n_replaced,
        without_session=lines.n_keyless,
    )
    odd = [
        LinesOdd(
            topic=records.topic,
            reason=reason,
            count=count[reason],
            example_partition=int(records.partitions[at]),
            example_offset=int(records.offsets[at]),
            example=text,
        )
        for reason, (at, text) in lines.examples.items()
    ]
    return [read, *odd]


def session_events(closed: ReadingBatch, sessions: SessionAssembler) -> list[Event]:
    """Return the events of the sessions that a poll closes, and of those that are open after it."""
    if closed.sessions is None:
        return []
    how = np.bincount(closed.sessions.closings, minlength=len(CLOSINGS)).tolist()
    counts: dict[str, int] = {name: n for name, n in zip(CLOSINGS, how, strict=True) if n}
    events: list[Event] = [SessionsClosed(topic=closed.topic, closed=counts, open=sessions.n_open)]
    if "early" in counts:
        first = closed.sessions.closings.tolist().index(CLOSINGS.index("early"))
        events.append(
            SessionsClosedEarly(
                topic=closed.topic,
                count=counts["early"],
                max_open=sessions.max_open,
                example_series=printable(closed.series[first], MAX_DETAIL_CHARACTERS),
                example_session=printable(closed.sessions.keys[first], MAX_DETAIL_CHARACTERS),
                example_partition=int(closed.partitions[first]),
                advice=(
                    "name what ends a session in input.session_end_pattern, shorten "
                    "input.session_quiet_s, or raise input.session_max_open"
                ),
            )
        )
    return events


def ruled_events(missing: Sequence[MissingByRule], records: RecordBatch) -> list[Event]:
    """Return the events of values that are missing by the rules of their features."""
    return [
        CellsUnreadable(
            topic=records.topic,
            feature=one.feature,
            reason=one.reason,
            count=one.count,
            example_partition=int(records.partitions[one.at]),
            example_offset=int(records.offsets[one.at]),
            example_detail=one.detail,
        )
        for one in missing
    ]
