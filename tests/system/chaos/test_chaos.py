"""Faults change nothing that a consumer of committed records can see; longer runs: `__main__`."""

from pathlib import Path
from typing import Any

import pytest

from tests.system.broker import BrokerUnavailableError
from tests.system.chaos.chaos_run import Options, run_chaos
from tests.system.chaos.report import Report
from tests.system.chaos.schedule import Kind

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.xdist_group("chaos")]


HALF: dict[str, Any] = {"n_series": 100, "readings_per_fault": 600}


def played(directory: Path, **options: Any) -> Report:
    """Play a run of half the input of the longer ones, as much of each series."""
    lines: list[str] = []
    try:
        return run_chaos(Options(**HALF, **options), directory, lines.append)
    except BrokerUnavailableError as exc:
        pytest.skip(f"no Apache Kafka broker: {exc}")
    finally:
        print("\n".join(lines))  # noqa: T201 - shown if the test fails


def test_faults_change_nothing(tmp_path: Path) -> None:
    """Twelve kinds of faults; the sixteen are all in longer runs."""
    report = played(tmp_path, n_faults=12, seed=4)

    assert report.is_equal, str(report)
    assert report.n_alerts > 50
    assert report.n_late > 0


def test_outputs_published_apart_from_offsets_are_found_out(tmp_path: Path) -> None:
    """Control: such daemons repeat outputs when they die in between, and the comparison tells.

    Each dies once, before the first commit that has outputs; the poison gives all of them some.
    """
    kinds = (Kind.POISON_BURST,)

    report = played(tmp_path, n_faults=1, seed=1, kinds=kinds, broken_order=True)

    assert any("too many" in line for line in report.differences), str(report)
