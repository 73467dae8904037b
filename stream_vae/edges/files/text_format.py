"""How the text of files is read: their form, and the values and times in their cells."""

from dataclasses import dataclass, field

from stream_vae.edges.files.csv_dialect import CsvDialect
from stream_vae.errors import ConfigError
from stream_vae.inputs.cell_values import CellFormat
from stream_vae.inputs.timestamps import TimestampParser


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFormat:
    """How the text of a file is read; the defaults find or take the usual."""

    dialect: CsvDialect = field(default_factory=CsvDialect)
    cells: CellFormat = field(default_factory=CellFormat)
    is_parquet: bool = False
    """The files are Parquet, whose values have the text that a CSV would have."""
    timestamp_format: str = "auto"
    """As `TimestampParser` takes it."""
    timestamp_zone: str | None = None
    """Zone of times without an offset; None: UTC."""

    def time_parser(self) -> TimestampParser:
        """Return the parser of times.

        Raises:
            ConfigError: If format or zone cannot be used.
        """
        zone = self.timestamp_zone or "UTC"
        try:
            return TimestampParser(self.timestamp_format, zone=zone, advice="options")
        except ValueError as exc:
            raise ConfigError(f"--timestamp-format, --timestamp-zone: {exc}") from None
