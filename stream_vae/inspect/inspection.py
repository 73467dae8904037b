"""What an inspection tells, and the sample that it looks at."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from stream_vae.core.excerpts import printable
from stream_vae.core.records import RecordBatch
from stream_vae.errors import DecodeError
from stream_vae.inputs.decode_slow_path import parse_document
from stream_vae.inputs.decoder import Decoded, Decoder
from stream_vae.inputs.registry.schemas import SchemaSource
from stream_vae.inspect.facts import FieldFacts, SeriesFacts, StepFacts
from stream_vae.inspect.proposal import Proposal
from stream_vae.inspect.record_keys import KeyFacts
from stream_vae.inspect.session_shapes import SessionFacts
from stream_vae.logs.log_steps import LogSteps

Form = str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What the daemon's decoder makes of records under the proposed settings."""

    n_records: int
    n_read: int
    """Records that give readings."""
    n_readings: int
    rejected: Mapping[str, tuple[int, str]]
    """Reason -> records, and an example."""
    n_ignored: int
    """Records without any of the features."""
    ignored_example: str
    unreadable: Mapping[str, tuple[int, str]]
    """Feature and reason -> values, and an example."""
    refusal: str = ""
    """Why there is no decoder, or it could not be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """All that records show."""

    n_records: int
    """That were read; of logs, beyond the sample that `forms` and `keys` are of."""
    n_null: int
    """Records without a value."""
    forms: Mapping[Form, int]
    """What the values are -> records."""
    keys: KeyFacts
    proposal: Proposal
    features: tuple[str, ...]
    """Those to train on."""
    left_out: Mapping[str, str]
    """Field of numbers -> why it is none of these."""
    fields: tuple[FieldFacts, ...]
    series: SeriesFacts | None
    steps: StepFacts | None
    proof: Proof
    of_logs: bool = False
    """Its records are lines of logs; what is counted of them is found at training."""
    log_steps: LogSteps | None = None
    """Of logs that are counted by steps."""
    by_sessions: Proposal | None = None
    """Of logs: the settings that judge the lines of an id together, if they tell one."""
    sessions: SessionFacts | None = None
    """Those that these make, or the settings that the operator has decided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Records, and what decoding them needs."""

    batch: RecordBatch
    now_ns: int
    schemas: SchemaSource | None
    wait: Callable[[], bool]
    given: Mapping[str, Any]
    window_length: int
    wanted: int
    of_file: bool
    """Each record is a line of a file."""

    def has_all(self, decoder: Decoder, batch: RecordBatch) -> bool:
        """Return whether nothing is lacking any more."""
        while decoder.lacks(batch):
            if not self.wait():
                return False
        return True


class ProofCount:
    """Adds up what a decoder makes of batches."""

    def __init__(self) -> None:
        self._n_records = self._n_read = self._n_readings = self._n_ignored = 0
        self._ignored_example = ""
        self._rejected: dict[str, tuple[int, str]] = {}
        self._unreadable: dict[str, tuple[int, str]] = {}

    def add(self, n_records: int, decoded: Decoded) -> None:
        """Add what became of some records."""
        self._n_records += n_records
        self._n_read += len(set(decoded.index.tolist()))
        self._n_readings += len(decoded.readings)
        for one in decoded.rejections:
            count, example = self._rejected.get(one.reason, (0, printable(one.detail, 200)))
            self._rejected[one.reason] = count + 1, example
        for (feature, reason), cells in decoded.unreadable.items():
            place = f"{printable(feature)}, {reason}"
            count, example = self._unreadable.get(place, (0, printable(cells.detail, 200)))
            self._unreadable[place] = count + cells.count, example
        if len(decoded.ignored) and not self._n_ignored:
            names = [printable(name, 60) for name in decoded.ignored_fields[:5]]
            self._ignored_example = ", ".join(names)
        self._n_ignored += len(decoded.ignored)

    def proof(self) -> Proof:
        """Return what it is so far."""
        return Proof(
            n_records=self._n_records,
            n_read=self._n_read,
            n_readings=self._n_readings,
            rejected=self._rejected,
            n_ignored=self._n_ignored,
            ignored_example=self._ignored_example,
            unreadable=self._unreadable,
        )


def no_proof(n_records: int, refusal: str) -> Proof:
    """Return the proof of records that no decoder was asked about, and why."""
    return Proof(
        n_records=n_records,
        n_read=0,
        n_readings=0,
        rejected={},
        n_ignored=0,
        ignored_example="",
        unreadable={},
        refusal=printable(refusal, 300),
    )


def document_of(raw: bytes) -> Any:
    """Return the JSON of a value, as the decoder reads it; None if it is none."""
    try:
        return parse_document(raw)
    except (DecodeError, RecursionError):
        return None
