"""Whether records give any reading: input of which nothing is used looks like an input at rest."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from stream_vae.core.excerpts import printable
from stream_vae.core.model_spec import ModelSpec
from stream_vae.core.records import Rejection
from stream_vae.events import Event, NothingRead

LEAST_RECORDS: Final = 100
"""Records in a row without a reading, at least, before it is told."""

_NAMES_TOLD = 5
_DETAIL_CHARACTERS = 300


class UnreadWatch:
    """Counts records since the last one that gave a reading.

    Its state does not survive a restart.

    Args:
        spec: The model's inputs.
    """

    def __init__(self, spec: ModelSpec) -> None:
        names = [feature.name for feature in spec.features]
        more = ", ..." if len(names) > _NAMES_TOLD else ""
        self._is_of_logs = spec.logs is not None
        self._features = f"{', '.join(names[:_NAMES_TOLD])}{more}"
        self.records = 0
        """Since the last that gave a reading."""
        self._ignored = 0
        self._rejected: Counter[str] = Counter()  # reason -> records
        self._example: dict[str, str] = {}  # reason -> detail of the first
        self._fields: tuple[str, ...] = ()
        self._is_told = False

    @property
    def complaint(self) -> str:
        """Description of what is wrong; empty if nothing is."""
        if self.records < LEAST_RECORDS:
            return ""
        parts: list[str] = []
        if self._ignored:
            instead = f", but {', '.join(self._fields)}" if self._fields else ""
            what = f"name none of the model's features ({self._features}){instead}"
            if self._is_of_logs:
                what = "hold no line but empty ones"
            parts.append(f"{self._ignored} {what}")
        if self._rejected:
            reason, _ = self._rejected.most_common(1)[0]
            found = f"{reason} ({printable(self._example[reason], _DETAIL_CHARACTERS)})"
            parts.append(f"{self._rejected.total()} are dead letters, most of them {found}")
        return f"none of the last {self.records} records gave a reading: {'; '.join(parts)}"

    def observe(
        self,
        n_records: int,
        last_read: int | None,
        *,
        ignored: Sequence[int],
        ignored_fields: Sequence[str],
        rejections: Sequence[Rejection],
    ) -> list[Event]:
        """Add a poll; return the events to record.

        Args:
            n_records: Of the poll.
            last_read: Position of the last record that gave a reading; None if none did.
            ignored: Positions of the records that name no feature.
            ignored_fields: What the first of them names instead.
            rejections: Of the poll.
        """
        begin = 0
        if last_read is not None:
            self.records = self._ignored = 0
            self._rejected.clear()
            self._example.clear()
            self._is_told = False
            begin = last_read + 1
        if begin == n_records:
            return []
        self.records += n_records - begin
        self._ignored += sum(at >= begin for at in ignored)
        for one in rejections:
            if one.index >= begin:
                self._rejected[one.reason] += 1
                self._example.setdefault(one.reason, one.detail)
        if ignored_fields:
            self._fields = tuple(ignored_fields[:_NAMES_TOLD])
        if self._is_told or self.records < LEAST_RECORDS:
            return []
        self._is_told = True
        return [
            NothingRead(
                records=self.records,
                without_feature=self._ignored,
                rejected=self._rejected.total(),
                detail=self.complaint,
            )
        ]
