"""Whether a bundle could judge readings like those it was calibrated on."""

from collections.abc import Iterable, Iterator

import numpy as np

from stream_vae.core.model_spec import ModelSpec
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.windows import SeriesTable
from stream_vae.detect.config import DetectConfig
from stream_vae.edges.files.training_data import SeriesArrays
from stream_vae.pipeline.series_store import window_config

_FEW = 0.5


def warn_of_unjudged(
    series: Iterable[SeriesArrays], spec: ModelSpec, detect: DetectConfig
) -> Iterator[str]:
    """Yield a warning if the daemon could judge few of these readings, or none.

    Args:
        series: Those of calibration, on the step grid.
        spec: Of the bundle.
        detect: How windows are judged.
    """
    config = window_config(spec, detect)
    n_judged = n_readings = 0
    for one in series:
        n = len(one.times)
        table = SeriesTable(config, len(spec.features), 1)
        rows = np.zeros(n, np.int32)
        table.start(rows[:1])
        batch = ReadingBatch(
            topic="",
            partitions=rows,
            offsets=np.arange(n),
            series=[one.key] * n,
            times=one.times,
            arrivals=one.times,
            values=one.values,
        )
        n_judged += len(table.push(rows, batch).ready)
        n_readings += max(n - spec.window_length + 1, 0)  # the first ones fill a window
    if n_judged < _FEW * n_readings:  # of a history shorter than a window nothing is known
        found = f"{n_judged:,} of {n_readings:,}" if n_judged else "none"
        yield (
            f"{found} of the calibration part's readings could be judged by this bundle, after "
            f"warm-up: too many steps of {spec.step_seconds:g} s are missing or partly observed "
            f"(detect.min_observed {detect.min_observed:g}, detect.max_gap {detect.max_gap}); "
            "expected most: a wider --step-seconds, or --ignore of what is mostly missing"
        )
