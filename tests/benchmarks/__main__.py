"""Speed and memory on a real Kafka broker: `python -m tests.benchmarks`.

Figures are ratios and quantiles of one run on one machine; nothing is asserted.
"""

import argparse
import platform
import tempfile
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from tests.benchmarks.decoding import measure_decoding
from tests.benchmarks.delivery import measure_delivery
from tests.benchmarks.ingestion import measure_ingestion
from tests.benchmarks.latency import measure_latency
from tests.benchmarks.log_templates import measure_log_templates
from tests.benchmarks.memory import measure_memory
from tests.benchmarks.page import measure_page
from tests.benchmarks.pause import measure_pause
from tests.benchmarks.recovery import measure_recovery
from tests.benchmarks.restore import measure_restore
from tests.benchmarks.throughput import measure_throughput
from tests.benchmarks.workload import Workload
from tests.system.broker import RealKafka

MEASURES = {
    "memory": measure_memory,
    "ingestion": measure_ingestion,
    "decoding": measure_decoding,
    "log-templates": measure_log_templates,
    "throughput": measure_throughput,
    "latency": measure_latency,
    "delivery": measure_delivery,
    "page": measure_page,
    "pause": measure_pause,
    "restore": measure_restore,
    "recovery": measure_recovery,
}


def main() -> None:
    """Run the chosen measures and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("measures", nargs="*", default=list(MEASURES), metavar="|".join(MEASURES))
    parser.add_argument("--series", type=int, default=500, help="series in the stream")
    parser.add_argument("--readings", type=int, default=150_000, help="readings in the stream")
    parser.add_argument("--hidden", type=int, default=32, help="H of the network")
    parser.add_argument("--data-dir", type=Path, help="of Loghub's systems, for log-templates")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    table = Table("measure", "figure", title="stream-vae benchmarks", title_justify="left")
    with tempfile.TemporaryDirectory() as folder:
        workload = Workload.create(
            Path(folder),
            n_series=arguments.series,
            n_readings=arguments.readings,
            hidden_size=arguments.hidden,
            data_dir=arguments.data_dir,
        )
        table.add_row("workload", workload.description)
        table.add_row(
            "machine", f"{platform.processor() or platform.machine()}, torch CPU, 1 thread"
        )
        kafka = RealKafka.create(Path(folder) / "kafka")
        try:
            for name in arguments.measures:
                for label, figure in MEASURES[name](workload, kafka).items():
                    table.add_row(label, figure)
        finally:
            kafka.stop()
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
