"""What an alert event tells of its incident as a whole, in words."""

from datetime import date

from stream_vae.core.alerts import AlertEvent, UpdateReason
from stream_vae.core.durations import describe_duration
from stream_vae.core.line_words import time_in_words

_BECAUSE: dict[UpdateReason, str] = {
    "more_severe": "more severe",
    "clearly_worse": "clearly worse",
    "other_cause": "another cause",
    "other_session": "another session",
}


def because_in_words(event: AlertEvent) -> str:
    """Return why an update is told; "" of other events."""
    return "" if event.updated_because is None else _BECAUSE[event.updated_because]


def so_far_in_words(event: AlertEvent, day: date | None) -> str:
    """Return what an incident that fires has had so far, beyond the step that is told; or "".

    Args:
        event: Of lines of a log.
        day: UTC day that a reader knows.

    ```
    so far 1,240 such lines in 2 min from 09:46:25Z, 12 steps anomalous
    so far 3 sessions that did not fit, from 09:46:25Z
    ```
    """
    course, told = event.course, event.told
    if course is None or course.anomalous < 2:
        return ""
    begun = time_in_words(course.starts_at, day)
    if event.window.length == 1:
        return f"so far {course.anomalous:,} sessions that did not fit, from {begun}"
    if told is None or told.total is None:
        return ""
    lasted = describe_duration((course.ends_at - course.starts_at).total_seconds())
    such = f"{told.total:,} such line{'' if told.total == 1 else 's'}"
    return f"so far {such} in {lasted} from {begun}, {course.anomalous:,} steps anomalous"


def opener_in_words(event: AlertEvent) -> str | None:
    """Return what opened an incident, with its lines in all if it is over; None if not known."""
    course = event.course
    if course is None or course.opened_by is None:
        return event.opened_by
    if course.opened_by_lines is None:
        return course.opened_by
    return f"{course.opened_by} ({course.opened_by_lines:,} such lines in all)"
