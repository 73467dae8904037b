"""Faults that must change nothing: `python -m tests.system.chaos --faults N --seed S`.

The same seed and number of faults give the same input and the same faults. Exit code 0: the outputs
equal those of one undisturbed daemon; 1: they differ.
"""

import argparse
import logging
import shutil
import sys
import tempfile
import time
from itertools import chain
from pathlib import Path

from rich.console import Console

from tests.system.chaos.chaos_run import Options, run_chaos
from tests.system.chaos.schedule import OPERATOR, TOLD, USUAL, Kind

_SETS = {
    "USUAL": USUAL,
    "OPERATOR": tuple(kind for kind in OPERATOR if kind not in TOLD),
    "TOLD": TOLD,
}


def main() -> int:
    """Run once and print the report."""
    parser = argparse.ArgumentParser(prog="python -m tests.system.chaos", description=__doc__)
    parser.add_argument("--faults", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--daemons", type=int, default=3)
    parser.add_argument("--series", type=int, default=200)
    parser.add_argument("--readings-per-fault", type=int, default=1200)
    parser.add_argument(
        "--kinds",
        default="USUAL",
        help=f"of faults: {', '.join(kind.name for kind in Kind)}; sets of them: USUAL, OPERATOR "
        "(what people do), TOLD (the same, where outputs may differ and invariants are checked); "
        "separated by commas (default: %(default)s)",
    )
    parser.add_argument(
        "--logs",
        choices=["text", "json", "sessions", "sessions-json"],
        help="feed log lines of that form, not readings; sessions: text, judged by sessions; "
        "sessions-json: the same, their keys in a field",
    )
    parser.add_argument("--protocol", choices=["consumer", "classic"], default="consumer")
    parser.add_argument(
        "--control",
        action="store_true",
        help="publish outputs before offsets, without a transaction: must end with 1",
    )
    parser.add_argument("--keep", action="store_true", help="keep data and logs of an equal run")
    arguments = parser.parse_args()
    # Clients of the harness lose the broker too; their complaints would drown the progress.
    logging.getLogger("stream_vae.tests").addHandler(logging.NullHandler())
    console = Console(highlight=False, markup=False, soft_wrap=True)
    began = time.monotonic()
    directory = Path(tempfile.mkdtemp(prefix="stream-vae-chaos-"))
    report = run_chaos(
        Options(
            n_faults=arguments.faults,
            seed=arguments.seed,
            n_daemons=arguments.daemons,
            n_series=arguments.series,
            readings_per_fault=arguments.readings_per_fault,
            kinds=tuple(chain.from_iterable(map(_kinds, arguments.kinds.split(",")))),
            protocol=arguments.protocol,
            logs=arguments.logs,
            broken_order=arguments.control,
        ),
        directory,
        lambda line: console.print(f"{time.monotonic() - began:7.1f} s  {line}"),
    )
    console.print(str(report))
    if report.is_equal and not arguments.keep:
        shutil.rmtree(directory)
    return 0 if report.is_equal else 1


def _kinds(name: str) -> tuple[Kind, ...]:
    return _SETS.get(name) or (Kind[name],)


if __name__ == "__main__":
    sys.exit(main())
