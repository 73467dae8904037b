"""What an alert event tells of the lines of a log, in words."""

from collections.abc import Iterable
from datetime import UTC, date, datetime

from stream_vae.core.alerts import AlertFeature, AlertSession, AlertStep, AlertWindow
from stream_vae.core.durations import describe_duration
from stream_vae.core.excerpts import printable
from stream_vae.core.log_templates import LEVEL, LINES, RARE, UNSEEN

NEVER_SEEN = "never seen in training"
_TEMPLATE_CHARACTERS = 160
_EXAMPLE_CHARACTERS = 120
_NAME_CHARACTERS = 60
_COUNT_DIGITS = 10
_SPREADS = 2.0


def lines_in_words(
    feature: AlertFeature, window: AlertWindow | AlertSession, day: date | None = None
) -> str:
    """Return when lines were wrong, how many there were and should have been, and what is wrong.

    All of it is of the session, or of the step that makes up most of the feature's contribution.

    Args:
        feature: A count of lines, with a direction.
        window: That is told of, or the session.
        day: UTC day that a reader knows; without, or on another one, the date is told.

    ```
    at 09:46:27Z 51 lines in 10 s, expected 89 to 169: missing lines of any kind
    at 09:46:37Z 0 lines in 10 s, expected 1: missing "beat <*>", such as "beat 17"
    at 09:46:53Z 551 lines in 10 s, expected none: never seen in training, such as "disk full"
    session blk_7 of 9 lines from 09:46:53Z: 0 lines, expected 3: missing "Received block <*>"
    ```
    """
    values = _values(feature)
    example = ""
    if feature.example:
        example = f', such as "{printable(feature.example, _EXAMPLE_CHARACTERS)}"'
    counted = _counted(values.actual or 0.0)
    if isinstance(window, AlertSession):
        name = printable(window.key, _NAME_CHARACTERS)
        place = f"session {name} of {_counted(window.lines)} from {_time(window.starts_at, day)}: "
        counted = f"{place}{counted}"
    else:
        at = _time(window.end if feature.worst is None else feature.worst.at, day)
        counted = f"at {at} {counted} in {describe_duration(window.step_seconds)}"
    return f"{counted}, expected {_expected(values)}: {what_lines(feature)}{example}"


def what_lines(feature: AlertFeature) -> str:
    """Return what is wrong with which lines.

    ```
    too many "Failed password for <*> from <*>"
    missing lines of level info
    never seen in training
    ```
    """
    if feature.direction == "unseen":
        return NEVER_SEEN
    return f"{_wrong(feature)} {_which(feature)}"


def opener_in_words(name: str, features: Iterable[AlertFeature]) -> str:
    """Return what opened an incident: of lines of a log which, else the name of the feature.

    Args:
        name: Of the feature that opened it.
        features: Of the event that tells of it.
    """
    opener = next((one for one in features if one.name == name), None)
    if opener is None or opener.unit != LINES:
        return printable(name, _NAME_CHARACTERS)
    if name == UNSEEN:
        return f"lines {NEVER_SEEN}"
    return _which(opener) if opener.direction is not None else printable(name, _NAME_CHARACTERS)


def _wrong(feature: AlertFeature) -> str:
    values = _values(feature)
    is_missing = feature.direction == "missing"
    low, high = values.expected_low, values.expected_high
    if low is not None and high is not None and low <= (values.actual or 0.0) <= high:
        # A run of these is unusual, not one of them.
        return "fewer than usual of" if is_missing else "more than usual of"
    return "missing" if is_missing else "too many"


def _values(feature: AlertFeature) -> AlertFeature | AlertStep:
    """Return what tells of the step that the direction is of."""
    return feature if feature.worst is None else feature.worst


def _which(feature: AlertFeature) -> str:
    name = feature.name
    if feature.template is not None:
        quoted = f'"{printable(feature.template, _TEMPLATE_CHARACTERS)}"'
        return f"rare lines, most often {quoted}" if name.startswith(f"{RARE}.") else quoted
    if name == LINES:
        return "lines of any kind"
    return f"lines of level {printable(name.removeprefix(f'{LEVEL}.'), _NAME_CHARACTERS)}"


def _counted(actual: float) -> str:
    return f"{actual:,.{_COUNT_DIGITS}g} line{'' if actual == 1 else 's'}"


def _expected(at: AlertFeature | AlertStep) -> str:
    low, high = at.expected_low, at.expected_high
    if low is None or high is None:  # of counts that scatter as numbers do
        low = round(max(at.expected - _SPREADS * at.expected_std, 0.0))
        high = max(round(at.expected + _SPREADS * at.expected_std), low)
    if high == 0:
        return "none"
    return f"{low:,.0f}" if low == high else f"{low:,.0f} to {high:,.0f}"


def _time(at: datetime, day: date | None) -> str:
    utc = at.astimezone(UTC)
    clock = f"{utc:%H:%M:%S}Z"
    if utc.microsecond:
        clock = f"{utc:%H:%M:%S.%f}".rstrip("0") + "Z"
    return clock if utc.date() == day else f"{utc:%Y-%m-%d} {clock}"
