"""What daemons said when they ended, and what they wrote past their log."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Any

from tests.system.chaos.fleet import End
from tests.system.chaos.hooks import CHAOS_ERROR

_LAST_WORD = "error: "
"""What the program tells on standard error when it fails."""


def reasons(ends: Sequence[End]) -> Counter[str]:
    """Return how often daemons ended for which reason."""
    return Counter(_reason(end) for end in ends)


def oddities(ends: Sequence[End], logs: Sequence[Path]) -> list[str]:
    """Return what no fault explains: crashes, failed stops, tracebacks, warnings of libraries."""
    lines = [
        f"{end.log.name}: asked to stop, ended with {end.code}: {_reason(end)}"
        for end in ends
        if end.was_asked and end.code not in {0, -SIGKILL} and not _is_explained(end)
    ]
    lines += [
        f"{end.log.name}: {_reason(end)}"
        for end in ends
        if not end.was_asked and (end.code not in {0, 1} or "crashed" in _reason(end))
    ]
    for log in logs:
        lines += [f"{log.name}: wrote {line!r:.300}" for line in _stray_lines(log)]
    return [f"{len(lines)} x what no fault explains:", *(f"  {line}" for line in lines)] * bool(
        lines
    )


def times_told(logs: Sequence[Path], told: Mapping[str, object]) -> int:
    """Return how often these logs tell of that: a line that counts tells as often as it says."""
    events = (event for log in logs for event in _events(log) if told.items() <= event.items())
    return sum(int(event.get("count", 1)) for event in events)


def _is_explained(end: End) -> bool:
    """Tell whether a stop failed as documented, or for a fault of ours that came with it.

    Documented: the group or the brokers were gone by then.
    """
    told = ("FencedError", "KafkaUnavailableError", "worker raised")
    return _was_unborn(end) or (end.code == 1 and _reason(end).startswith(told))


def _was_unborn(end: End) -> bool:
    """Tell whether SIGTERM came before the daemon had begun: then nobody listens for it."""
    return end.code == -SIGTERM and not _events(end.log)


def _reason(end: End) -> str:
    if end.code == -SIGKILL:
        return "killed"
    if _was_unborn(end):
        return "stopped before it began"
    for event in reversed(_events(end.log)):
        if event["event"] == "daemon_crashed":
            is_ours = CHAOS_ERROR in json.dumps(event)
            return "worker raised" if is_ours else "crashed"
        if event["event"] == "daemon_failed":
            return f"{event['error']}: {event['detail']:.160}"
        if event["event"] == "daemon_stopped" and end.code == 0:
            return "stopped"
    return f"exit code {end.code}"


def _events(log: Path) -> list[dict[str, Any]]:
    return [event for line in _lines(log) if (event := _event(line)) is not None]


def _stray_lines(log: Path) -> list[str]:
    lines = _lines(log)
    if any(CHAOS_ERROR in line for line in lines):
        return []  # its traceback is expected
    return [
        line
        for line in lines
        if line.strip() and _event(line) is None and not line.startswith(_LAST_WORD)
    ]


def _lines(log: Path) -> list[str]:
    text = log.read_text(errors="replace")
    return text[: text.rfind("\n") + 1].splitlines()  # SIGKILL may leave half a line


def _event(line: str) -> dict[str, Any] | None:
    try:
        content = json.loads(line)
    except ValueError:
        return None
    return content if isinstance(content, dict) and "event" in content else None
