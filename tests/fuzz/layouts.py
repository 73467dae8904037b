"""Every way a record may be laid out, and clean records of each."""

from dataclasses import dataclass
from functools import cached_property

from stream_vae.core.model_spec import numeric_features
from stream_vae.inputs.reading_encoder import ReadingEncoder
from stream_vae.inputs.reading_format import ReadingFormat

NAMES = ("flow", "pressure", "speed")


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One choice of the operator's."""

    name: str
    fmt: ReadingFormat

    @cached_property
    def encoder(self) -> ReadingEncoder:
        return ReadingEncoder(numeric_features(NAMES), self.fmt)

    @property
    def time_member(self) -> bytes:
        """Name of the innermost field that holds the time."""
        return self.fmt.timestamp_field.rpartition(".")[2].encode()

    @property
    def series_member(self) -> bytes | None:
        """Name of the innermost field that holds the series; None where the Kafka key does."""
        field = self.fmt.series_field
        return None if field is None else field.rpartition(".")[2].encode()


LAYOUTS = (
    Layout(name="json", fmt=ReadingFormat()),
    Layout(name="vector", fmt=ReadingFormat(format="vector")),
    Layout(
        name="json, dotted paths, RFC 3339, series in a field",
        fmt=ReadingFormat(
            timestamp_field="meta.at",
            timestamp_format="rfc3339",
            series_field="meta.device.id",
            feature_fields={"flow": r"data.flow\.rate", "pressure": "data.deep.er.p"},
        ),
    ),
    Layout(
        name="vector, dotted paths, ms, series in a field",
        fmt=ReadingFormat(
            format="vector",
            timestamp_field="meta.at",
            timestamp_format="ms",
            series_field="id",
            values_field="body.values",
        ),
    ),
    Layout(name="json, s, any future", fmt=ReadingFormat(timestamp_format="s", max_future_s=1e11)),
    Layout(
        name="json, us, short records, no future",
        fmt=ReadingFormat(timestamp_format="us", max_record_bytes=2048, max_future_s=0.0),
    ),
    Layout(name="vector, ns", fmt=ReadingFormat(format="vector", timestamp_format="ns")),
)
