"""Rows of a Parquet file as text, so that columns have the roles and rules of a CSV.

Needs `pyarrow`, which the extra `parquet` installs.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from stream_vae.errors import ConfigError, InputFileError

_BATCH_ROWS = 4096
_INDEX_NAME = "__index_level_0__"
"""Of the row names of a data frame, which may be its times."""


class ParquetRows:
    """Rows of one file; the first is the header, and row N has the line N.

    Args:
        path: Of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.notes: tuple[str, ...] = ()
        """What was left out; once rows are read."""

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        """Yield each row as text.

        Raises:
            ConfigError: If `pyarrow` is not installed.
            InputFileError: If the file cannot be read.
        """
        try:
            import pyarrow as pa  # noqa: PLC0415 - an extra
            import pyarrow.parquet as pq  # noqa: PLC0415
        except ImportError:
            raise ConfigError(
                f"{self._path}: Parquet needs the package pyarrow; expected it installed: "
                "pip install 'stream-vae[parquet]', or another --format"
            ) from None
        try:
            with pq.ParquetFile(self._path) as file:
                names = _names(pa, file.schema_arrow)
                left_out = [name for name in file.schema_arrow.names if name not in names]
                if left_out:
                    self.notes = (f"columns that are no single values, left out: {left_out}",)
                yield 1, [*names.values()]
                line = 2
                for batch in file.iter_batches(_BATCH_ROWS, columns=[*names]):
                    columns = [_texts(pa, batch.column(name)) for name in names]
                    for cells in zip(*columns, strict=True):
                        yield line, list(cells)
                        line += 1
        except (OSError, pa.ArrowException) as exc:
            raise InputFileError(f"{self._path}: cannot be read as Parquet: {exc}") from exc


def _names(pa: Any, schema: Any) -> dict[str, str]:
    """Return the columns of single values -> their names for roles."""
    names = {}
    for column in schema:
        if pa.types.is_nested(column.type) or pa.types.is_null(column.type):
            continue
        name = column.name
        if name == _INDEX_NAME:
            is_time = pa.types.is_timestamp(column.type) and "timestamp" not in schema.names
            if not is_time:
                continue
            name = "timestamp"
        names[column.name] = name
    return names


def _texts(pa: Any, column: Any) -> list[str]:
    """Return the cells of a column as a CSV would have them; null is empty."""
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        zone = "Z" if getattr(column.type, "tz", None) else ""
        times = column.cast(pa.timestamp("ns")).to_numpy(zero_copy_only=False)
        texts = np.datetime_as_string(times.astype("datetime64[ns]")).tolist()
        return ["" if text == "NaT" else f"{text}{zone}" for text in texts]
    found = column.to_pylist()
    if pa.types.is_boolean(column.type):
        return ["" if one is None else str(one).lower() for one in found]
    return ["" if one is None else str(one) for one in found]
