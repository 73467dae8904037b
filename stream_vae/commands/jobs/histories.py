"""History files for the commands that hold a whole history at once."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from stream_vae.core.model_spec import ModelSpec
from stream_vae.core.readings import ReadingBatch
from stream_vae.edges.files.csv_header import LABEL, columns_of
from stream_vae.edges.files.csv_readings import CsvReadings, read_csv


def read_history(paths: Sequence[Path], spec: ModelSpec, label: str = LABEL) -> CsvReadings:
    """Return the readings of files that have the model's features.

    Raises:
        InputFileError: With file, line and column.
    """
    return read_csv(paths, replace(columns_of(spec), label=label))


def to_batch(readings: CsvReadings) -> ReadingBatch:
    """Return the readings as one poll of partition 0, as `score` reads them."""
    N = len(readings)
    return ReadingBatch(
        topic=readings.paths[0].name,
        partitions=np.zeros(N, np.int32),
        offsets=np.arange(N, dtype=np.int64),
        series=readings.series,
        times=readings.times,
        arrivals=readings.times,
        values=readings.values,
    )
