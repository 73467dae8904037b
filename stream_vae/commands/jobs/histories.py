"""History files for the commands that hold a whole history at once."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from stream_vae.commands.jobs.input_files import open_files
from stream_vae.commands.options import FileOptions
from stream_vae.core.model_spec import ModelSpec
from stream_vae.core.readings import ReadingBatch
from stream_vae.edges.files.added_up import add_up
from stream_vae.edges.files.csv_header import LABEL, columns_of
from stream_vae.edges.files.csv_readings import CsvReadings
from stream_vae.inputs.reading_format import ReadingFormat


def read_history(
    paths: Sequence[Path],
    spec: ModelSpec,
    label: str = LABEL,
    *,
    options: FileOptions = FileOptions(),  # noqa: B008 - frozen
    settings: ReadingFormat = ReadingFormat(),  # noqa: B008 - frozen
) -> CsvReadings:
    """Return the readings of files that have the model's features; of logs the counts of steps.

    Args:
        paths: One or more.
        spec: The model's.
        label: Column of labels.
        options: What the command line tells of the files.
        settings: Those of the input.

    Raises:
        InputFileError: With file, line and column.
    """
    choice = replace(columns_of(spec), label=label)
    files = open_files(paths, choice, options, settings)
    if not spec.adds_up:
        return files.read()
    readings = add_up(
        files.iter_batches(),
        spec.features,
        step_ns=round(spec.step_seconds * 1e9),
        bridged=spec.window_length,
        paths=paths,
    )
    return replace(readings, notes=files.notes)


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
