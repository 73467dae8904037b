"""The detectors on a public data set: progress, the table, the rows as JSON."""

import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from stream_vae.commands.jobs.benchmark_table import benchmark_table
from stream_vae.edges.files.data_folder import FileFolder
from stream_vae.errors import ConfigError
from stream_vae.evaluate.data_sets.families import FAMILIES, Family
from stream_vae.evaluate.data_sets.folder import DataFolder
from stream_vae.evaluate.data_sets.run import run_benchmark
from stream_vae.evaluate.data_sets.summaries import BenchmarkRow, Result
from stream_vae.evaluate.data_sets.task import Task
from stream_vae.models.device import limit_threads
from stream_vae.models.training.reports import BatchReport


def benchmark_data(
    name: str, data_dir: Path | None, *, seeds: int, files: Sequence[str], json_file: Path | None
) -> None:
    """Run the benchmark of a data set and print its table."""
    if name not in FAMILIES:
        raise ConfigError(f"NAME: found {name!r}, expected one of {', '.join(FAMILIES)}")
    if json_file is not None and not json_file.parent.is_dir():
        raise ConfigError(f"--json {json_file}: found no folder {json_file.parent}, expected one")
    family = FAMILIES[name]
    limit_threads(1)
    console, began = Console(), time.monotonic()
    tasks = _chosen(family.load(_folder(name, family, data_dir)), files)
    results: list[Result] = []
    for result in _run(name, tasks, seeds, console):
        results.append(result)
        if json_file is not None:  # each time: a long run that is ended leaves what it found
            _write(json_file, [one.row for one in results])
    console.print(benchmark_table(family, results))
    console.print(f"{family.rule}.", highlight=False, markup=False)
    if family.source:
        console.print(f"Published: {family.source}.", highlight=False, markup=False)
    console.print(f"{seeds} seed(s), {time.monotonic() - began:.0f} s")


class _NoFiles:
    """The folder of a data set that comes with a library."""

    place = "(no folder)"

    def names(self) -> list[str]:
        """Return nothing."""
        return []

    def read(self, name: str) -> bytes:
        """Read nothing."""
        raise KeyError(name)


def _folder(name: str, family: Family, data_dir: Path | None) -> DataFolder:
    """Return the set's folder: the one given, or the one of its usual name therein."""
    if family.folder is None:
        return _NoFiles()
    if data_dir is None:
        raise ConfigError(
            f"benchmark {name}: --data-dir is missing, expected the folder of {family.title}"
        )
    usual = data_dir / family.folder
    return FileFolder(usual if usual.is_dir() else data_dir)


def _chosen(tasks: Iterable[Task], files: Sequence[str]) -> Iterator[Task]:
    seen: list[str] = []
    for task in tasks:
        seen.append(task.file)
        if not files or task.file in files:
            yield task
    unknown = sorted(set(files) - set(seen))
    if unknown:
        raise ConfigError(f"--file {unknown[0]!r}: not in the set, expected one of {seen}")


def _run(name: str, tasks: Iterable[Task], seeds: int, console: Console) -> Iterator[Result]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        line = bar.add_task(f"reading {name}", total=None)

        def on_start(task: Task, seed: int) -> None:
            what = f"{escape(task.file)}, seed {seed}"
            bar.reset(line, description=what, total=None)
            if not console.is_terminal:
                console.print(what)

        def on_batch(batch: BatchReport) -> None:
            bar.update(line, total=batch.steps, completed=batch.step)

        for result in run_benchmark(
            name, tasks, seeds=seeds, now=datetime.now(UTC), on_start=on_start, on_batch=on_batch
        ):
            bar.update(line, description=f"{escape(result.row.file)}: {result.row.method}")
            yield result


def _write(path: Path, rows: list[BenchmarkRow]) -> None:
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(rows), indent=1))
    except OSError as exc:
        raise ConfigError(f"--json {path}: cannot be written: {exc.strerror}") from exc
