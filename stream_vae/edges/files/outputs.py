"""Atomic output files of the offline commands.

Everything is written to a temporary file beside the target, which is renamed at the end, so that an
interrupted command leaves no partial file under the final name.
"""

import csv
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.alerts import AlertEvent
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.verdicts import Verdict, VerdictBatch
from stream_vae.errors import ConfigError, ShapeError
from stream_vae.inputs.timestamps import format_times
from stream_vae.wire.alerts import encode_alert

SCORE_COLUMNS = ("series", "timestamp", "score", "threshold", "p_value", "verdict", "deviation")

_VERDICT_NAMES = np.array([verdict.name for verdict in Verdict], dtype=object)


@contextmanager
def whole_file(path: Path) -> Iterator[TextIO]:
    """Yield a UTF-8 text file that appears at `path` only if the block succeeds.

    A path that is not a regular file, such as `/dev/stdout`, is written directly.

    Raises:
        ConfigError: If it cannot be written.
    """
    try:
        if path.exists() and not path.is_file():
            with path.open("w", encoding="utf-8", newline="") as file:
                yield file
            return
        # The target of a symbolic link is replaced, not the link.
        target = path.resolve()
        with _temporary_beside(target) as file:
            yield file
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be written: {exc.strerror or exc}") from exc


@contextmanager
def _temporary_beside(target: Path) -> Iterator[TextIO]:
    target.parent.mkdir(parents=True, exist_ok=True)
    # Another user of a shared folder must not guess the name; "x" would not follow a link there.
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.partial")
    with temporary.open("x", encoding="utf-8", newline="") as file:
        try:
            yield file
            file.flush()
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


class ScoresWriter:
    """Writes one row per step, in the order given.

    Args:
        file: As `whole_file` gives it.
    """

    def __init__(self, file: TextIO) -> None:
        self._rows = csv.writer(file, lineterminator="\n")
        self._rows.writerow(SCORE_COLUMNS)

    def write(
        self, readings: ReadingBatch, verdicts: VerdictBatch, deviation: NDArray[np.float64]
    ) -> None:
        """Write N readings and their verdicts.

        Args:
            readings: N.
            verdicts: Of them.
            deviation: (N,) largest of their features, as alerts tell it; NaN where there is none.

        Raises:
            ShapeError: If their numbers differ.
        """
        found = len(readings), len(verdicts.verdict), len(deviation)
        if len(set(found)) > 1:
            raise ShapeError(f"readings, verdicts and deviations: found {found} of them")
        self._rows.writerows(
            zip(
                readings.series,
                format_times(readings.times),
                _cells(verdicts.score),
                _cells(verdicts.threshold),
                _cells(verdicts.p_value),
                _VERDICT_NAMES[verdicts.verdict].tolist(),
                _cells(deviation),
                strict=True,
            )
        )


class AlertsWriter:
    """Writes alert events, one JSON object a line, as they are published.

    Args:
        file: As `whole_file` gives it.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, event: AlertEvent) -> None:
        """Write one event."""
        self._file.write(encode_alert(event).decode() + "\n")


def _cells(numbers: NDArray[np.float64]) -> list[float | str]:
    """Return numbers that csv writes without loss, and empty cells for NaN."""
    return [number if number == number else "" for number in numbers.tolist()]  # noqa: PLR0124 - NaN
