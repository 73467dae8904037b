"""What an alert event tells of the lines of a log, in words."""

from datetime import UTC, date, datetime, timedelta

from stream_vae.core.alerts import AlertFeature, AlertSession, AlertStep, AlertWindow
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
    51 lines from 09:46:25Z to 09:46:35Z, expected 89 to 169: too few lines of any kind
    0 lines from 09:46:35Z to 09:46:45Z, expected 1: missing "beat <*>", in training such as "beat"
    551 lines from 09:46:55Z to 09:47:05Z, expected none: never seen in training, such as "full"
    session blk_7 of 9 lines from 09:46:53Z: 0 lines, expected 3: missing "Received block <*>"
    ```
    """
    values = _values(feature)
    example = example_in_words(feature, _EXAMPLE_CHARACTERS)
    counted = _counted(values.actual or 0.0)
    if isinstance(window, AlertSession):
        name = printable(window.key, _NAME_CHARACTERS)
        begun = time_in_words(window.starts_at, day)
        counted = f"session {name} of {_counted(window.lines)} from {begun}: {counted}"
    else:
        begin, end = _span(feature, window)
        counted = (
            f"{counted} from {time_in_words(begin, day)} to {time_in_words(end, begin.date())}"
        )
    told = f"{counted}, expected {_expected(values)}: {what_lines(feature)}"
    return ", ".join(filter(None, (told, example)))


def example_in_words(feature: AlertFeature, limit: int) -> str:
    """Return an example of lines, and whether it is one of them or of training; "" without one."""
    if not feature.example:
        return ""
    begun = "in training such as" if feature.example_from == "training" else "such as"
    return f'{begun} "{printable(feature.example, limit)}"'


def what_lines(feature: AlertFeature) -> str:
    """Return what is wrong with which lines.

    ```
    too many "Failed password for <*> from <*>"
    too few lines of level info
    missing "heartbeat of <*>"
    never seen in training
    ```
    """
    if feature.direction == "unseen":
        return NEVER_SEEN
    return f"{_wrong(feature)} {_which(feature)}"


def counter_in_words(name: str, template: str | None, *, is_above: bool) -> str:
    """Return what is wrong with what a feature of logs counts, wherever an incident is.

    Args:
        name: Of the feature.
        template: That it counts, most often.
        is_above: There are more than expected.

    >>> counter_in_words("login.3f", "login of <*>", is_above=False)
    'too few "login of <*>"'
    >>> counter_in_words("unseen", None, is_above=True)
    'lines never seen in training'
    """
    if name == UNSEEN:
        return f"lines {NEVER_SEEN}"
    return f"{'too many' if is_above else 'too few'} {_lines_of(name, template)}"


def _wrong(feature: AlertFeature) -> str:
    values = _values(feature)
    is_missing = feature.direction == "missing"
    low, high = values.expected_low, values.expected_high
    if low is not None and high is not None and low <= (values.actual or 0.0) <= high:
        # A run of these is unusual, not one of them.
        return "fewer than usual of" if is_missing else "more than usual of"
    if is_missing:
        return "too few" if values.actual else "missing"
    return "too many"


def _values(feature: AlertFeature) -> AlertFeature | AlertStep:
    """Return what tells of the step that the direction is of."""
    return feature if feature.worst is None else feature.worst


def _which(feature: AlertFeature) -> str:
    return _lines_of(feature.name, feature.template)


def _span(feature: AlertFeature, window: AlertWindow) -> tuple[datetime, datetime]:
    """Return begin and end of the step told of, whose time is its middle."""
    worst, width = feature.worst, timedelta(seconds=window.step_seconds)
    if worst is not None and worst.starts_at is not None and worst.ends_at is not None:
        return worst.starts_at, worst.ends_at
    begin = (window.end if worst is None else worst.at) - width / 2
    return begin, begin + width


def _lines_of(name: str, template: str | None) -> str:
    if template is not None:
        quoted = f'"{printable(template, _TEMPLATE_CHARACTERS)}"'
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


def time_in_words(at: datetime, day: date | None) -> str:
    """Return a time, with its date unless that is the UTC day that a reader knows."""
    utc = at.astimezone(UTC)
    clock = f"{utc:%H:%M:%S}Z"
    if utc.microsecond:
        clock = f"{utc:%H:%M:%S.%f}".rstrip("0") + "Z"
    return clock if utc.date() == day else f"{utc:%Y-%m-%d} {clock}"
