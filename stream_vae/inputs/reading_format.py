"""Settings of the input format."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Len

from stream_vae.core.excerpts import excerpt
from stream_vae.errors import DecodeError
from stream_vae.inputs.cell_values import CellFormat
from stream_vae.inputs.presets import Preset
from stream_vae.inputs.series_keys import MAX_KEY_CHARACTERS, KeyFormat, parse_key
from stream_vae.inputs.timestamps import check_time_settings

RECORD_TIME = "$record"
"""`timestamp_field` of records whose time is Kafka's."""

LogInputFormat = Literal["log_lines", "log_events", "otlp_logs_proto", "otlp_logs_json"]

InputFormat = Literal[
    "json",
    "vector",
    "otlp_proto",
    "otlp_json",
    "registry",
    "influx",
    "collectd",
    "log_lines",
    "log_events",
    "otlp_logs_proto",
    "otlp_logs_json",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingFormat:
    """Where a record keeps its time, its series and its values."""

    preset: Preset | None = None
    """Producer whose records are read: other defaults for the settings below, which `config show`
    shows. Settings that are given win."""

    format: InputFormat = "json"
    """`json`: one object per record, a field per feature. `vector`: an object with a `values` array
    in the order of the bundle's features (parsed log vectors, embeddings). `otlp_proto`,
    `otlp_json`: metrics of OpenTelemetry. `registry`: Avro, or JSON, of a schema in a schema
    registry (`registry.url`); with the settings of `json`. `influx`: InfluxDB's line protocol.
    `collectd`: JSON of collectd's `write_kafka`. `log_lines`: lines of a log, as text or in a field
    of JSON (`message_field`). `log_events`: events of a log that are parsed already.
    `otlp_logs_proto`, `otlp_logs_json`: logs of OpenTelemetry. Detection in lines of logs has other
    defaults, which `config show` shows."""

    timestamp_field: str = "timestamp"
    """Field (dotted path allowed) of the event time; `$record` takes Kafka's own time of the
    record."""

    timestamp_format: str = "auto"
    """`auto` reads text as RFC 3339 or a common form of exports, and derives the unit of a number,
    also of one as text, from its magnitude. `rfc3339`: text alone; `s`, `ms`, `us`, `ns`: numbers
    of that unit alone. With a `%`: a pattern of Python's `strptime`, such as
    `%d/%m/%Y %H:%M:%S`."""

    timestamp_zone: str | None = None
    """Zone of times that are text without an offset (`UTC`, `Europe/Berlin`); unset, they are not
    read. Of an hour that stands there twice, the one nearer to Kafka's time of the record."""

    records_path: str = ""
    """Field (dotted path allowed) of an array of readings, or `$` where the record is an array. The
    other paths then begin in its elements; `$.host` is a field of the record. An object in place of
    the array is one reading; without any, the record itself is."""

    series_field: str | None = None
    """Field (dotted path allowed) of the series key, or a text with several in braces
    (`{tags.host}/{tags.device}`); unset, the Kafka key names the series."""

    series: Annotated[str, Len(1, MAX_KEY_CHARACTERS)] | None = None
    """Series of all readings, where neither a key nor a field names one: a producer that watches
    one thing. In place of `series_field`."""

    key_format: KeyFormat = "text"
    """What Kafka keys are that name series: text, big-endian integers (as Java's `LongSerializer`
    writes them), or any bytes, of which the hexadecimal digits are the name. With `text` a binary
    key is refused, whatever its bytes. `registry`: of a registered schema, as the value is."""

    vector: Literal["exact", "growing", "padded"] = "growing"
    """Length of the array in the `vector` format: as many values as features (`exact`); also more,
    of which the first count (`growing`: a log parser found another template); or also fewer, the
    last of which are missing (`padded`)."""

    values_field: str = "values"
    """Field (dotted path allowed) of the array in the `vector` format."""

    feature_fields: dict[str, str] = field(default_factory=dict)
    """Feature name -> field (dotted path allowed), where they differ from each other."""

    value_field: str | None = None
    """Field (dotted path allowed) of the value of records that hold one each, with its name, or of
    an object of such values by name; `a|b` is b where a finds nothing. Unset, each feature has a
    field of its own."""

    name_field: str | None = None
    """Field (dotted path allowed) of the name of such a value."""

    feature_name: str = "{name}"
    """The model's feature that such a value is of: a text with fields in braces, of which `{name}`
    is `name_field` and `{field}` the name in an object of values (`{name}.{field}`). Of an
    OpenTelemetry metric: `{name}.{attributes.state}`."""

    missing_words: tuple[str, ...] = ()
    """Words for a value that is not there, without case; `nan`, `null`, `unavailable`, `---` and
    the like always are."""

    value_words: dict[str, float] = field(default_factory=dict)
    """Word -> number, for values written as words (`{open: 1, closed: 0}`); without case. `true`
    and `false` always are 1 and 0."""

    decimal: Literal[".", ","] | None = None
    """Mark before the fraction of a number that is text; the other mark then divides thousands."""

    units: bool = False
    """Cut off units behind numbers that are text (`23.4 C`)."""

    max_record_bytes: Annotated[int, Gt(0)] = 1_048_576
    """Longer records go to the dead-letter topic."""

    max_future_s: Annotated[float, Ge(0), Le(1e9)] = 3600.0
    """A record with a timestamp further ahead of the wall clock goes to the dead-letter topic, so
    that one bad clock cannot stall a series."""

    def __post_init__(self) -> None:
        """Validate the fields against each other."""
        try:
            check_time_settings(self.timestamp_format, self.timestamp_zone)
        except ValueError as exc:
            msg = f"timestamp_format, timestamp_zone: {exc}"
            raise ValueError(msg) from None
        if self.series is None:
            return
        if self.series_field is not None:
            msg = (
                f"series, series_field: found {excerpt(self.series)} and "
                f"{excerpt(self.series_field)}; expected one of them"
            )
            raise ValueError(msg)
        try:
            parse_key(self.series.encode(errors="replace"))
        except DecodeError:
            msg = f"series: found {excerpt(self.series)}; expected text without control characters"
            raise ValueError(msg) from None


def cell_format(fmt: ReadingFormat) -> CellFormat:
    """Return how numbers are written as text."""
    return CellFormat(
        missing_words=fmt.missing_words,
        value_words=fmt.value_words,
        decimal=fmt.decimal,
        units=fmt.units,
    )
