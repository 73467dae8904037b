"""What a record's points give to the model's features, whatever the encoding."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from stream_vae.core.excerpts import printable
from stream_vae.errors import DecodeError
from stream_vae.inputs.otlp.names import MAX_UNUSED, Labels, MetricNames, PointNames

Value = TypeVar("Value")
Time = TypeVar("Time")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(Generic[Value, Time]):
    """One value of a feature; in a protobuf record, value and times are places of its bytes."""

    series: int
    """Position in `Entries.series`."""
    feature: int
    value: Value
    time: Time
    start: Time | None
    """Set where the value is that of the interval since then: it becomes a rate per second."""
    error: DecodeError | None = None
    """Why the value cannot be used; it is missing then."""


@dataclass(slots=True)
class Entries(Generic[Value, Time]):
    """The values that a record has of one resource, in its own order.

    Points of one series and feature that differ in their attributes cannot be told apart: they are
    all unreadable, since any choice among them could be wrong.
    """

    names: PointNames
    entries: list[Entry[Value, Time]] = field(default_factory=list)
    series: list[str | DecodeError | None] = field(default_factory=list)
    unused: dict[str, None] = field(default_factory=dict)
    """Names of points that are no feature's."""
    _who: dict[tuple[int, int], tuple[str, Labels]] = field(default_factory=dict)
    _ambiguous: dict[tuple[int, int], DecodeError] = field(default_factory=dict)

    def add(
        self,
        metric: MetricNames,
        attributes: Labels,
        values: Iterable[tuple[str, Value]],
        *,
        time: Time,
        start: Time | None,
    ) -> None:
        """Add a point.

        Args:
            metric: What names it.
            attributes: Its own.
            values: What it holds, by what follows the feature's name (`.count`).
            time: When.
            start: See `Entry`.
        """
        base = self.names.feature(metric, attributes)
        for suffix, value in values:
            feature = self.names.places.get(base + suffix)
            if feature is None:
                if len(self.unused) < MAX_UNUSED:
                    self.unused[base + suffix] = None
                continue
            series = self._place(self.names.series(metric, attributes))
            self._compare((series, feature), (metric.name, attributes))
            self.entries.append(
                Entry(series=series, feature=feature, value=value, time=time, start=start)
            )

    def finished(self) -> Sequence[Entry[Value, Time]]:
        """Return all entries, those that cannot be told apart with their error."""
        if not self._ambiguous:
            return self.entries
        return [
            Entry(
                series=entry.series,
                feature=entry.feature,
                value=entry.value,
                time=entry.time,
                start=entry.start,
                error=self._ambiguous.get((entry.series, entry.feature)),
            )
            for entry in self.entries
        ]

    def _place(self, series: str | DecodeError | None) -> int:
        if series not in self.series:
            self.series.append(series)
        return self.series.index(series)

    def _compare(self, place: tuple[int, int], who: tuple[str, Labels]) -> None:
        first = self._who.setdefault(place, who)
        if first == who or place in self._ambiguous:
            return
        labels = {k for k in {*first[1], *who[1]} if first[1].get(k) != who[1].get(k)}
        told = ", ".join(f"attributes.{name}" for name in sorted(labels)) or "name"
        detail = (
            f"points of {printable(who[0], 60)} in one record differ in {printable(told, 100)} "
            "alone; expected input.feature_name or input.series_field to name that, such as "
            "{name}.{attributes.KEY}"
        )
        self._ambiguous[place] = DecodeError("value_ambiguous", detail)
