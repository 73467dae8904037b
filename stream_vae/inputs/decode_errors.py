"""What is wrong with the records of a poll: whole records, some of their readings, single cells."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from stream_vae.core.records import Rejection, name_elements
from stream_vae.errors import DecodeError


@dataclass(frozen=True, slots=True, kw_only=True)
class CellError:
    """Why one value of a reading cannot be read."""

    position: int
    """Of the reading in its `RawReadings`."""
    feature: str
    error: DecodeError


@dataclass(slots=True)
class _Rejected:
    n_elements: int = 1
    whole: DecodeError | None = None
    elements: dict[int, DecodeError] = field(default_factory=dict)


class DecodeErrors:
    """Collects the errors of one poll; the first of each record or element counts."""

    def __init__(self) -> None:
        self._records: dict[int, _Rejected] = {}

    def __bool__(self) -> bool:
        return bool(self._records)

    def __contains__(self, row: object) -> bool:
        return row in self._records

    def reject(self, row: int, error: DecodeError) -> None:
        """Reject a whole record, by its position in the batch."""
        rejected = self._records.setdefault(row, _Rejected())
        if rejected.whole is None:
            rejected.whole = error

    def reject_elements(
        self, row: int, elements: Sequence[int], n_elements: int, error: DecodeError
    ) -> None:
        """Reject some elements of a record; its others count.

        Args:
            row: Position of the record in the batch.
            elements: Their numbers in the record, from 1; at least one.
            n_elements: How many the record has.
            error: Why.
        """
        rejected = self._records.setdefault(row, _Rejected())
        rejected.n_elements = n_elements
        for element in elements:
            rejected.elements.setdefault(element, error)

    def rejections(self) -> list[Rejection]:
        """Return one rejection per record, in the order of the records."""
        return [_rejection(row, rejected) for row, rejected in sorted(self._records.items())]


def _rejection(row: int, rejected: _Rejected) -> Rejection:
    if rejected.whole is not None:
        return Rejection(index=row, reason=rejected.whole.reason, detail=rejected.whole.detail)
    numbers = sorted(rejected.elements)
    first = rejected.elements[numbers[0]]
    is_part = len(numbers) < rejected.n_elements
    return Rejection(
        index=row,
        reason=first.reason,
        detail=f"{name_elements(numbers, rejected.n_elements)}{first.detail}",
        elements=tuple(numbers) if is_part else (),
    )
