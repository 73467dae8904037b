"""What a backtest is asked for."""

from dataclasses import dataclass, field
from pathlib import Path

from stream_vae.commands.options import FileOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestRequest:
    """What the operator asked for."""

    bundle: Path
    input_files: list[Path]
    labels: Path | None
    label_column: str
    train_files: list[Path]
    out: Path | None
    page: bool
    """Whether to write report.html."""
    point_adjusted: bool
    replicates: int
    seed: int
    injected_faults: int
    """Of each kind, feature and size; 0: none."""
    options: FileOptions = field(default_factory=FileOptions)
    """What the command line tells of the input, and of the files of labels and training."""
