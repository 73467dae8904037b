"""What a series costs while it is remembered."""

from datetime import UTC, datetime

import numpy as np

from stream_vae.core.alerts import AlertDetector
from stream_vae.core.readings import ReadingBatch
from stream_vae.detect.config import DetectConfig
from stream_vae.pipeline.alerting import Origin
from stream_vae.pipeline.line import Pipeline
from stream_vae.vae.scoring import WindowScorer
from tests.benchmarks.workload import START_NS, F, Workload
from tests.system.broker import RealKafka

_SERIES = 2**14


def measure_memory(workload: Workload, _: RealKafka) -> dict[str, str]:
    """Count the bytes of the arrays behind 16,384 series."""
    origin = Origin(detector=AlertDetector(name="benchmark", version="0", instance="0"))
    pipeline = Pipeline(workload.bundle.spec, DetectConfig(), origin)
    readings = ReadingBatch(
        topic="readings",
        partitions=np.zeros(_SERIES, np.int32),
        offsets=np.arange(_SERIES),
        series=[f"series-{i}" for i in range(_SERIES)],
        times=np.full(_SERIES, START_NS),
        arrivals=np.full(_SERIES, START_NS),
        values=np.zeros((_SERIES, F)),
    )
    pipeline.observe(readings, WindowScorer(workload.bundle), datetime.now(UTC))
    return {"state per series": f"{pipeline.memory.shape.series_bytes:,} bytes"}
