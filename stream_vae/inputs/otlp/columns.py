"""The values of a poll in columns, and the readings that they make up."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_vae.errors import DecodeError
from stream_vae.inputs.decode_errors import CellError
from stream_vae.inputs.otlp.number_checks import PointError
from stream_vae.inputs.raw_readings import RawReadings


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """P values in the order of their records and, within one, in its own."""

    rows: NDArray[np.int64]
    """(P,) position of each value's record in the batch, ascending."""
    slots: NDArray[np.int64]
    """(P,) positions in the poll's series."""
    features: NDArray[np.int64]
    """(P,) positions in the model."""
    times: NDArray[np.uint64]
    """(P,) nanoseconds since 1970; 0: absent."""
    values: NDArray[np.float64]
    """(P,)"""

    def readings(
        self,
        series: Sequence[str | DecodeError | None],
        errors: Sequence[PointError],
        ignored: Sequence[int],
        names: Sequence[str],
    ) -> RawReadings:
        """Return one reading of all values of a record that have the same series and time.

        A later value of a feature replaces an earlier one; a missing one replaces nothing.

        Args:
            series: Of the poll; None where the key of a record names it.
            errors: Of the values.
            ignored: Records without a value of the model's.
            names: F features, in the model's order.
        """
        of_value, first = self._grouped()
        values = np.full((len(first), len(names)), np.nan)
        observed = ~np.isnan(self.values)
        values[of_value[observed], self.features[observed]] = self.values[observed]
        rows = self.rows[first]
        found = [series[slot] for slot in self.slots[first].tolist()]
        return RawReadings(
            index=rows,
            series=None if None in found else found,
            times=[time or None for time in self.times[first].tolist()],
            values=values,
            cell_errors=[
                CellError(
                    position=int(of_value[at]), feature=names[int(self.features[at])], error=error
                )
                for at, error in errors
            ],
            ignored=ignored,
        )

    def clashes(self, part_of: NDArray[np.int64]) -> list[PointError]:
        """Return what several resources of a record say differently of one thing (NaN).

        Args:
            part_of: (P,) the resource of each value, ascending.
        """
        if len(part_of) == 0 or part_of[-1] + 1 == len(np.unique(self.rows)):
            return []
        columns = (self.rows, self.slots, self.times, self.features)
        order = np.lexsort((*columns[::-1],))
        is_same = np.ones(len(order) - 1, dtype=bool)
        for column in columns:
            is_same &= column[order[1:]] == column[order[:-1]]
        groups = np.cumsum(np.concatenate([[True], ~is_same]))
        is_clash = is_same & (part_of[order[1:]] != part_of[order[:-1]])
        is_clash &= self.values[order[1:]] != self.values[order[:-1]]
        found = np.sort(order[np.isin(groups, groups[1:][is_clash])]).tolist()
        self.values[found] = np.nan
        error = DecodeError(
            "value_ambiguous",
            "resources of one record differ in this feature of one series; expected "
            "input.series_field to name what differs, such as resource.host.name",
        )
        return [(at, error) for at in found]

    def _grouped(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return (P,) the reading of each value, and (R,) the first value of each reading."""
        differs = np.ones(len(self.rows), dtype=bool)
        for column in (self.rows, self.slots, self.times):
            if column is self.rows:
                differs[1:] = column[1:] != column[:-1]
            else:
                differs[1:] |= column[1:] != column[:-1]
        first = np.flatnonzero(differs)
        of_value = np.cumsum(differs) - 1
        if len(first) == len(np.unique(self.rows)):
            return of_value, first
        # A reading's values need not stand together.
        order = np.lexsort((self.times[first], self.slots[first], self.rows[first]))
        run = first[order]
        is_new = np.ones(len(run), dtype=bool)
        is_new[1:] = False
        for column in (self.rows, self.slots, self.times):
            is_new[1:] |= column[run[1:]] != column[run[:-1]]
        group_of_sorted = np.cumsum(is_new) - 1
        firsts = np.minimum.reduceat(run, np.flatnonzero(is_new))
        rank = np.empty(len(firsts), dtype=np.int64)
        rank[np.argsort(firsts)] = np.arange(len(firsts))
        group_of_run = np.empty(len(run), dtype=np.int64)
        group_of_run[order] = rank[group_of_sorted]
        return group_of_run[of_value], np.sort(firsts)


def per_second(
    values: NDArray[np.float64],
    times: NDArray[np.uint64],
    starts: NDArray[np.uint64],
    is_delta: NDArray[np.bool_],
) -> list[PointError]:
    """Divide what is counted over an interval by its seconds; return what has no interval (NaN).

    Args:
        values: (P,)
        times: (P,) ends of the intervals, nanoseconds since 1970.
        starts: (P,) beginnings; 0: absent.
        is_delta: (P,) which are counted over an interval.
    """
    found: list[PointError] = []
    if not is_delta.any():
        return found
    is_sound = (starts > 0) & (starts < times)
    chosen = is_delta & is_sound
    values[chosen] /= (times[chosen] - starts[chosen]).astype(np.float64) / 1e9
    for at in np.flatnonzero(is_delta & ~is_sound & ~np.isnan(values)).tolist():
        values[at] = np.nan
        detail = (
            f"a delta point at {int(times[at])} ns begins at {int(starts[at])} ns; expected an "
            "earlier start time, so that it can be a rate per second"
        )
        found.append((at, DecodeError("interval_missing", detail)))
    return found
