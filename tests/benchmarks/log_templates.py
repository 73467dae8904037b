"""What it costs to tell the templates of log lines, and what a flood of unseen ones does."""

import random
import time
from collections.abc import Callable

import psutil

from stream_vae.logs.candidates import Candidates
from stream_vae.logs.templates import Templates, mine
from tests.benchmarks.workload import Workload
from tests.system.broker import RealKafka

_POLL, _LINES, _FLOOD, _ROUNDS = 500, 100_000, 1_000_000, 3


def measure_log_templates(workload: Workload, kafka: RealKafka) -> dict[str, str]:
    """Mask and match lines as a storage node writes them, then a million distinct ones."""
    rng = random.Random(0)  # noqa: S311 -- no secret
    known = [_line(rng) for _ in range(_LINES)]
    began = time.process_time()
    logs = mine(known)
    mining = _LINES / (time.process_time() - began)

    templates = Templates(logs)

    def match(lines: list[str]) -> None:
        for at in range(0, len(lines), _POLL):
            found = templates.match(lines[at : at + _POLL])
        assert len(found) == _POLL

    before = _best(lambda: match(known))
    memory = psutil.Process().memory_info().rss
    candidates = Candidates(logs.masks)
    spent = 0.0
    for _ in range(_FLOOD // _LINES):
        flood = [_distinct(rng) for _ in range(_LINES)]
        began = time.process_time()
        match(flood)
        candidates.add(flood)
        spent += time.process_time() - began
    grown = psutil.Process().memory_info().rss - memory
    return {
        "log lines mined": f"{mining:,.0f} lines/s",
        "log lines masked and matched": f"{_LINES / before:,.0f} lines/s",
        "the same after a million distinct unseen lines": (
            f"{_LINES / _best(lambda: match(known)):,.0f} lines/s"
        ),
        "unseen lines matched and kept as candidates": f"{_FLOOD / spent:,.0f} lines/s",
        "memory that the million took": f"{grown / 2**20:.1f} MB",
        "saved state of the candidates": f"{len(candidates.snapshot()) / 1024:.0f} KB",
    }


def _best(work: Callable[[], None]) -> float:
    spent = []
    for _ in range(_ROUNDS):
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)
    return min(spent)


def _line(rng: random.Random) -> str:
    host, block = f"10.251.{rng.randrange(256)}.{rng.randrange(256)}", f"blk_{rng.getrandbits(63)}"
    return rng.choice(
        (
            f"Receiving block {block} src: /{host}:54106 dest: /{host}:50010",
            f"PacketResponder {rng.randrange(3)} for block {block} terminating",
            f"Received block {block} of size {rng.getrandbits(26)} from /{host}",
            f"BLOCK* NameSystem.addStoredBlock: blockMap updated: {host}:50010 is added to {block}"
            f" size {rng.getrandbits(26)}",
            f"Deleting block {block} file /mnt/hadoop/dfs/data/current/subdir{rng.randrange(64)}/"
            f"{block}",
            f"Verification succeeded for {block}",
        )
    )


def _distinct(rng: random.Random) -> str:
    words = ("".join(rng.choices("abcdefghij", k=6)) for _ in range(rng.randint(4, 12)))
    return " ".join(words)
