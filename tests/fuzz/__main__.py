"""Hostile records through decoder, pipeline and outbox: `python -m tests.fuzz`.

Ends at the first law that does not hold, naming the poll; the same seed leads there again.
"""

import argparse
import ctypes
import gc
import os
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from stream_vae.wire.rejections import REASONS
from tests.fuzz.fuzz_driver import CAPACITY, Bundles, FuzzDriver, Tally
from tests.fuzz.layouts import LAYOUTS
from tests.fuzz.log_layouts import LOG_LAYOUTS
from tests.fuzz.mutators import KINDS, forget_templates
from tests.fuzz.stream import CLEAN, HOSTILE_A_POLL

_ALL = (*LAYOUTS, *LOG_LAYOUTS)
_WARM_POLLS = 30 * len(_ALL)
"""Until each pipeline is full, and what series remember of their scores."""
_LOOK_EVERY = 100  # polls
_MOST_GROWTH = 1.05
_OTHERS = ("warming up", "unscorable", "waiting", "late", "ignored")


def main() -> None:
    """Run, and print what was sent and what became of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000, help="hostile records")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--flood", type=float, default=0.05, help="share of them under a key never seen before"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("error")
    console = Console(width=120)
    bundles = Bundles()
    seed = arguments.seed * len(_ALL)
    drivers = [
        FuzzDriver(layout, bundles.of(layout), seed=seed + i, flood=arguments.flood)
        for i, layout in enumerate(_ALL)
    ]
    n_polls = -(-arguments.records // HOSTILE_A_POLL)
    resident: list[float] = []
    started = time.perf_counter()
    for poll in track(range(n_polls), console=console, disable=not sys.stdout.isatty()):
        driver = drivers[poll % len(drivers)]
        try:
            driver.run_poll()
        except Exception as exc:
            exc.add_note(f"seed {arguments.seed}, poll {poll}, layout {driver.layout.name!r}")
            raise
        if poll >= _WARM_POLLS and (poll - _WARM_POLLS) % _LOOK_EVERY == 0:
            resident.append(_resident_mib())
    for driver in drivers:
        driver.look()
    _report(console, _sum([driver.tally for driver in drivers]))
    series = max(driver.pipeline.n_series for driver in drivers)
    forgotten = sum(driver.forgotten for driver in drivers)
    console.print(
        f"{forgotten:,} series forgotten for want of room or readings, none of a clean one; at the "
        f"end each pipeline had at most {series:,} of {CAPACITY:,}"
    )
    console.print(f"{time.perf_counter() - started:.0f} s, seed {arguments.seed}")
    if not _memory_is_flat(console, resident):
        sys.exit("memory grew")


def _sum(tallies: list[Tally]) -> Tally:
    total = Tally()
    for tally in tallies:
        total.sent += tally.sent
        total.outcomes += tally.outcomes
        total.alerts += tally.alerts
    return total


def _report(console: Console, tally: Tally) -> None:
    table = Table("kind", *("sent", "judged", *_OTHERS, "rejected"), "as")
    for kind in (CLEAN, *KINDS):
        of_kind = {what: n for (of, what), n in tally.outcomes.items() if of == kind}
        reasons = Counter({r: n for r, n in of_kind.items() if r in REASONS and r != "late"})
        judged = of_kind.get("normal", 0) + of_kind.get("anomalous", 0)
        others = [of_kind.get(what.replace(" ", "_"), 0) for what in _OTHERS]
        counts = [tally.sent[kind], judged, *others, reasons.total()]
        often = ", ".join(reason for reason, _ in reasons.most_common(3))
        table.add_row(kind, *(f"{n:,}" for n in counts), often)
    console.print(table)
    rejected = sum(tally.rejected(kind) for kind in KINDS)
    accepted = sum(tally.accepted(kind) for kind in KINDS)
    console.print(
        f"{tally.hostile:,} hostile records: {accepted:,} readings + {rejected:,} dead letters + "
        f"{tally.hostile - rejected - accepted:,} without features; "
        f"{tally.sent[CLEAN]:,} clean records between them: all readings"
    )
    console.print(f"{tally.alerts:,} alert events, all valid; every number in the state sound")


def _memory_is_flat(console: Console, resident: list[float]) -> bool:
    """Tell whether nothing was added after warm-up, and say what was seen."""
    if not resident:
        console.print("too few records to say whether memory is flat")
        return True
    told = ", ".join(f"{resident[round((len(resident) - 1) * at / 4)]:.0f}" for at in range(5))
    console.print(
        f"resident memory after {_WARM_POLLS} polls, and from there to the end: {told} MiB"
    )
    return max(resident) <= _MOST_GROWTH * resident[0]


def _resident_mib() -> float:
    """Return what is in use: free pieces that the allocator keeps come and go by the dozen MiB."""
    forget_templates()
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    main()
