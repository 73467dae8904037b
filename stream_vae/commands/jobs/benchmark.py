"""The detectors on public data sets: progress, the tables, the rows as JSON."""

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

from stream_vae.commands.jobs.benchmark_logs import run_loghub
from stream_vae.commands.jobs.benchmark_table import (
    benchmark_table,
    difference_table,
    difference_words,
)
from stream_vae.commands.jobs.terminal import TaskText, open_console
from stream_vae.edges.files.data_folder import FileFolder
from stream_vae.edges.files.outputs import whole_file
from stream_vae.errors import ConfigError
from stream_vae.evaluate.data_sets import loghub
from stream_vae.evaluate.data_sets.families import FAMILIES, Family
from stream_vae.evaluate.data_sets.folder import DataFolder
from stream_vae.evaluate.data_sets.methods import MODEL
from stream_vae.evaluate.data_sets.paired import PairedDifference, paired_differences
from stream_vae.evaluate.data_sets.run import Job, jobs_of, run_job
from stream_vae.evaluate.data_sets.summaries import BenchmarkRow, Result
from stream_vae.evaluate.data_sets.task import Part
from stream_vae.models.device import limit_threads
from stream_vae.models.training.reports import BatchReport


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkRequest:
    """What the operator asked for."""

    names: tuple[str, ...]
    data_dir: Path | None
    seeds: range
    files: tuple[str, ...]
    """Parts of the sets; empty for all."""
    processes: int
    """How many parts and seeds are run at a time."""
    each_file: bool
    json_file: Path | None


def run_benchmarks(request: BenchmarkRequest) -> None:
    """Run the benchmarks and print their tables, on interruption of what is finished."""
    _check(request)
    limit_threads(1)
    console = open_console()
    began = time.monotonic()
    rows: list[BenchmarkRow] = []
    if loghub.NAME in request.names:
        folder = _usual_folder(loghub.NAME, loghub.TITLE, loghub.FOLDER, request.data_dir)
        rows = run_loghub(folder, request.files, console)
        if request.json_file is not None:
            _write(request.json_file, rows, request.seeds)
    names = [name for name in request.names if name in FAMILIES]
    if not names:
        return
    folders = {name: _folder(name, request.data_dir) for name in names}
    parts = _chosen(
        {name: FAMILIES[name].load(folder) for name, folder in folders.items()}, request.files
    )
    jobs = [job for name in parts for job in jobs_of(name, parts[name], request.seeds)]
    results: list[Result] = []
    try:
        for found in _run(jobs, request.processes, console):
            results += found
            if request.json_file is not None:  # each time: a killed run leaves what it found
                _write(request.json_file, [*rows, *(one.row for one in results)], request.seeds)
    finally:
        for name, chosen in parts.items():
            of_set = [result for result in results if result.row.data == name]
            _print_tables(console, FAMILIES[name], folders[name], of_set, len(chosen), request)
        console.print(f"{len(request.seeds)} seed(s), {time.monotonic() - began:.0f} s")


def _check(request: BenchmarkRequest) -> None:
    for name in request.names:
        if name not in FAMILIES and name != loghub.NAME:
            known = ", ".join((*FAMILIES, loghub.NAME))
            raise ConfigError(f"NAME: found {name!r}, expected one of {known}")
    json_file = request.json_file
    if json_file is not None and not json_file.parent.is_dir():
        raise ConfigError(f"--json {json_file}: found no folder {json_file.parent}, expected one")


class _NoFiles:
    """The folder of a data set that comes with a library."""

    place = "(no folder)"

    def names(self) -> list[str]:
        """Return nothing."""
        return []

    def read(self, name: str) -> bytes:
        """Read nothing."""
        raise KeyError(name)


def _folder(name: str, data_dir: Path | None) -> DataFolder:
    """Return the set's folder: the one given, or the one of its usual name therein."""
    family = FAMILIES[name]
    if family.folder is None:
        return _NoFiles()
    return _usual_folder(name, family.title, family.folder, data_dir)


def _usual_folder(name: str, title: str, usual_name: str, data_dir: Path | None) -> DataFolder:
    if data_dir is None:
        raise ConfigError(
            f"benchmark {name}: --data-dir is missing, expected the folder of {title}"
        )
    usual = data_dir / usual_name
    return FileFolder(usual if usual.is_dir() else data_dir)


def _chosen(parts: dict[str, Sequence[Part]], files: Sequence[str]) -> dict[str, Sequence[Part]]:
    known = [part.file for found in parts.values() for part in found]
    unknown = [file for file in files if file not in known]
    if unknown:
        raise ConfigError(f"--file {unknown[0]!r}: not in the set, expected one of {known}")
    if not files:
        return parts
    return {name: [part for part in found if part.file in files] for name, found in parts.items()}


def _run(jobs: Sequence[Job], processes: int, console: Console) -> Iterator[list[Result]]:
    columns = (
        TaskText(),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        run = _run_here if processes == 1 else _run_beside
        yield from run(jobs, processes, bar)


def _run_here(jobs: Sequence[Job], _: int, bar: Progress) -> Iterator[list[Result]]:
    """Run one job after the other, with a bar over the batches of its training."""
    line = bar.add_task("reading", total=None)

    def on_batch(batch: BatchReport) -> None:
        bar.update(line, total=batch.steps, completed=batch.step)

    for number, job in enumerate(jobs, start=1):
        what = _what(job, number, len(jobs))
        bar.reset(line, description=what, total=None)
        if not bar.console.is_terminal:
            bar.console.print(what)
        yield run_job(job, datetime.now(UTC), on_batch)


def _run_beside(jobs: Sequence[Job], processes: int, bar: Progress) -> Iterator[list[Result]]:
    """Run some jobs at a time, each in a process, with a bar over all jobs."""
    line, now = bar.add_task("parts and seeds", total=len(jobs)), datetime.now(UTC)
    for library in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # as they are read by a worker
        os.environ.setdefault(library, "1")
    # Not forked: torch's threads do not survive that.
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, mp_context=spawn, initializer=_begin_worker)
    is_finished = False
    try:
        running: dict[Future[list[Result]], Job] = {
            pool.submit(run_job, job, now): job for job in jobs
        }
        for number, done in enumerate(as_completed(running), start=1):
            found = done.result()
            bar.update(line, completed=number)
            if not bar.console.is_terminal:
                bar.console.print(_what(running[done], number, len(jobs)))
            yield found
        is_finished = True
    finally:
        pool.shutdown(wait=is_finished, cancel_futures=True)
        if not is_finished:
            for process in multiprocessing.active_children():
                process.terminate()


def _begin_worker() -> None:
    limit_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started this one ends it


def _what(job: Job, number: int, total: int) -> str:
    return f"{job.data} {job.part.file}, seed {job.seed} ({number} of {total})"


def _print_tables(
    console: Console,
    family: Family,
    folder: DataFolder,
    results: Sequence[Result],
    n_parts: int,
    request: BenchmarkRequest,
) -> None:
    if not results:
        return
    published = (*family.published, *family.published_in(folder))
    # Of each file after the mean over them.
    for each_file in (False, True) if request.each_file and not family.by_part else (False,):
        console.print(
            benchmark_table(family, published, results, n_parts=n_parts, each_file=each_file)
        )
    differences = _differences([one.row for one in results], family, request.seeds)
    if differences:
        console.print(difference_table(family, differences))
    lines = [family.rule]
    if len(request.seeds) > 1:
        lines.append("±: standard deviation over seeds; methods without it draw nothing")
    if differences:
        lines.append(difference_words(differences))
    if family.source:
        lines.append(f"published: {family.source}")
    for line in lines:
        console.print(f"{line}.", highlight=False)


def _differences(
    rows: Sequence[BenchmarkRow], family: Family, seeds: range
) -> list[PairedDifference]:
    """Return how our first score differs from every other method on the same files."""
    ours = next((row for row in rows if row.method == MODEL), None)
    if ours is None or family.compared_by is None:
        return []
    reference = (ours.method, ours.score)
    return list(
        paired_differences(rows, reference=reference, figure=family.compared_by, seed=seeds.start)
    )


def _write(path: Path, rows: list[BenchmarkRow], seeds: range) -> None:
    names = dict.fromkeys(row.data for row in rows)
    differences = [
        one
        for name in names
        if name in FAMILIES
        for one in _differences([r for r in rows if r.data == name], FAMILIES[name], seeds)
    ]
    found = {"rows": rows, "differences": differences}
    with whole_file(path) as file:
        file.write(msgspec.json.format(msgspec.json.encode(found), indent=1).decode())
