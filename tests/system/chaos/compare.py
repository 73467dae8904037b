"""Where two runs over the same input disagree, in words."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from tests.state.saved_state import State
from tests.system.chaos.outputs import Aside, Outputs
from tests.system.chaos.stream import StreamRecord

MOST_SHOWN = 12

Item = TypeVar("Item", bound=Hashable)
Identity = tuple[str, int]


def differences(oracle: Outputs, run: Outputs) -> list[str]:
    """Return every way in which a run differs from the oracle; empty if it does not.

    Args:
        oracle: Outputs of one undisturbed daemon.
        run: Outputs of the daemons under chaos, of the same input.
    """
    return [
        *_compared("alert event", map(_identity, oracle.alerts), map(_identity, run.alerts)),
        *_in_another_order(oracle.alerts, run.alerts),
        *_in_other_words(oracle.alerts, run.alerts),
        *_asides("dead letter", oracle.dead_letters, run.dead_letters),
        *_asides("late reading", oracle.late, run.late),
        *_listed("restored value of a series", _in_another_state(oracle.state, run.state)),
    ]


def broken_laws(
    run: Outputs, stream: Iterable[StreamRecord], ends: Mapping[int, int], *, is_again: bool
) -> list[str]:
    """Return what must hold of any outputs, also where they may differ from the oracle's.

    Args:
        run: Outputs of the daemons under chaos.
        stream: The input.
        ends: Input partition -> its end.
        is_again: Whether the group was set back, so that events, letters and ends come again.
    """
    poison = Counter(r.value for r in stream if r.is_poison)
    found = Counter(value or b"" for _, value, _ in run.dead_letters if value in poison)
    last = {identity: status for identity, _, status in run.told}
    firing = {identity for identity, status in last.items() if status == "firing"}
    resolved = [identity for identity, _, status in run.told if status == "resolved"]
    again = [
        *_repeated("alert event", ((identity, sequence) for identity, sequence, _ in run.told)),
        *_repeated("end of an incident", resolved),
        *_listed("dead letter too many", [str(value) for value in found - poison]),
    ]
    return [
        *([] if is_again else again),
        *_listed("missing dead letter", [str(value) for value in poison - found]),
        *_listed("incident firing for ever", sorted(firing - run.firing)),
        *_listed("open incident that nobody was told of", sorted(run.firing - firing)),
        *_listed("committed offset", _unlike(dict(ends), run.committed)),
    ]


def _identity(event: Mapping[str, Any]) -> Identity:
    return event["incident_id"], event["sequence"]


def _repeated(what: str, items: Iterable[Hashable]) -> list[str]:
    many = [f"{item} stands {n} times" for item, n in Counter(items).items() if n > 1]
    return _listed(f"repeated {what}", many)


def _compared(what: str, expected: Iterable[Item], found: Iterable[Item]) -> list[str]:
    return _counted(what, Counter(expected), Counter(found))


def _counted(what: str, expected: Counter[Item], found: Counter[Item]) -> list[str]:
    missing, extra = expected - found, found - expected
    return [
        *_listed(f"missing {what}", [str(item) for item in missing.elements()]),
        *_listed(f"{what} too many", [str(item) for item in extra.elements()]),
    ]


def _in_another_order(
    oracle: Sequence[Mapping[str, Any]], run: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Compare the order of the events both have, series by series."""
    wanted, found = _by_series(oracle), _by_series(run)
    lines = []
    for series, identities in wanted.items():
        common = set(identities) & set(found[series])
        first = list(dict.fromkeys(i for i in identities if i in common))
        second = list(dict.fromkeys(i for i in found[series] if i in common))
        if first != second:
            lines.append(f"{series}: {second}, expected {first}")
    return _listed("series with alert events in another order", lines)


def _by_series(events: Sequence[Mapping[str, Any]]) -> defaultdict[str, list[Identity]]:
    order: defaultdict[str, list[Identity]] = defaultdict(list)
    for event in events:
        # Between partitions there is no order: a key may have moved.
        place = f"{event['source']['partition']}/{event['series']['key']}"
        order[place].append(_identity(event))
    return order


def _in_other_words(
    oracle: Sequence[Mapping[str, Any]], run: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Compare, field by field, the events both have."""
    wanted = {_identity(event): event for event in oracle}
    lines = []
    for event in run:
        expected = wanted.get(_identity(event), event)
        unlike = [
            f"{field} {event.get(field)!r}, expected {expected.get(field)!r}"
            for field in sorted({*expected, *event})
            if event.get(field) != expected.get(field)
        ]
        if unlike:
            lines.append(f"{event['series']['key']} {_identity(event)}: {'; '.join(unlike)}")
    return _listed("alert event with another content", lines)


def _asides(what: str, expected: Sequence[Aside], found: Sequence[Aside]) -> list[str]:
    return _compared(what, expected, found)


def _in_another_state(expected: State, found: State) -> list[str]:
    return [
        f"{series}: {line}"
        for series in sorted({*expected, *found})
        for line in _unlike(expected.get(series, {}), found.get(series, {}))
    ]


def _unlike(expected: Mapping[Any, object], found: Mapping[Any, object]) -> list[str]:
    absent = object()
    return [
        f"{name}: {_shown(found, name)}, expected {_shown(expected, name)}"
        for name in sorted({*expected, *found}, key=str)
        if expected.get(name, absent) != found.get(name, absent)
    ]


def _shown(values: Mapping[Any, object], name: object) -> str:
    return f"{values[name]!r:.300}" if name in values else "nothing"


def _listed(what: str, lines: Sequence[str]) -> list[str]:
    """Return a heading with the number, and the first of the lines."""
    if not lines:
        return []
    more = [f"  and {len(lines) - MOST_SHOWN} more"] if len(lines) > MOST_SHOWN else []
    return [f"{len(lines)} x {what}:", *(f"  {line:.600}" for line in lines[:MOST_SHOWN]), *more]
