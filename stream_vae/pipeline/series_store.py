"""The state of all series of this instance, in rows that can be saved and loaded."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.assembly_config import AS_USUAL, AssemblyConfig
from stream_vae.core.feature_rules import FeatureRules
from stream_vae.core.incidents import SeriesIncidents
from stream_vae.core.leaps import LeapGuard
from stream_vae.core.model_spec import ModelSpec
from stream_vae.core.series_index import NAME_BYTES, SeriesIndex, SeriesName
from stream_vae.core.state_layout import Stage, StateLayout, StatePart
from stream_vae.core.steps import StepAssembler
from stream_vae.core.windows import SeriesTable, WindowConfig
from stream_vae.detect.config import DetectConfig
from stream_vae.detect.incidents import IncidentTracker
from stream_vae.detect.silence import SilenceWatch
from stream_vae.pipeline.blind_series import BlindSeries


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """Series being saved: the parts that later work may change have been copied."""

    rows: NDArray[np.int32]
    assembled: Mapping[str, NDArray[np.void]]
    """(K,) of each part that changes in that stage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedSeries:
    """K series as of one input offset."""

    names: Sequence[SeriesName]
    states: Mapping[str, NDArray[np.void]]
    """(K,) of each part, by its name in the layout."""
    incidents: Mapping[SeriesName, SeriesIncidents]
    """Of the tracked series."""


def window_config(spec: ModelSpec, config: DetectConfig, *, lateness: int = 0) -> WindowConfig:
    """Return the shape of a model's windows and of the grid under them.

    Args:
        spec: The model's inputs.
        config: How gaps and missing values are taken.
        lateness: Steps before the newest one that are still open.
    """
    return WindowConfig(
        length=spec.window_length,
        step_ns=round(spec.step_seconds * 1e9),
        # Steps without a line are zero: warm-up restarts once a whole window had none.
        max_gap=spec.window_length if spec.adds_up else config.max_gap,
        min_observed=config.min_observed,
        lateness=lateness,
        adds_up=spec.adds_up,
    )


class SeriesStore:
    """Windows, thresholds and incidents of at most `capacity` series.

    Windows are ahead of thresholds and incidents by the work in flight. To save a series as of one
    input offset, `capture` it between two assemblies and `complete` it between the same two
    decisions.

    Args:
        spec: The model's inputs.
        config: See `DetectConfig`.
        assembly: How readings become steps.
        capacity: Rows; memory is used only for those ever allocated.
        more_parts: Of the state, beside index and windows, such as the detector's.
    """

    def __init__(
        self,
        spec: ModelSpec,
        config: DetectConfig,
        capacity: int,
        more_parts: Sequence[StatePart] = (),
        *,
        assembly: AssemblyConfig = AS_USUAL,
    ) -> None:
        self.index = SeriesIndex(capacity, step_s=spec.step_seconds)
        grid = window_config(spec, config, lateness=assembly.lateness_steps)
        self.windows = SeriesTable(grid, len(spec.features), capacity)
        self.rules = FeatureRules.of(
            spec.features,
            step_ns=grid.step_ns,
            max_gap=grid.max_gap,
            last_steps=self.windows.last_steps,
            capacity=capacity,
        )
        self.leaps = LeapGuard(self.windows, grid, capacity, assembly.max_leap_steps)
        self.steps = StepAssembler(self.windows, self.index, grid, assembly.wait_ns(grid.step_ns))
        # Adding a part here is enough: it is initialised, saved, restored and counted.
        self.layout = StateLayout(
            (
                StatePart(
                    name="index",
                    stage=Stage.ASSEMBLED,
                    columns=self.index.state,
                    is_essential=True,
                ),
                StatePart(name="gaps", stage=Stage.ASSEMBLED, columns=self.index.gaps.state),
                StatePart(
                    name="windows",
                    stage=Stage.ASSEMBLED,
                    columns=self.windows.state,
                    is_essential=True,
                ),
                *self._open_steps(grid),
                *self._of_rules(),
                *more_parts,
            )
        )
        self.incidents = IncidentTracker(
            config.incident,
            window_length=spec.window_length,
            unscorable_after=config.unscorable_limit(spec.window_length),
            lateness_ns=grid.lateness * grid.step_ns,
            tells_each=spec.has_sessions,
            held_for=config.threshold.release_after,
        )
        self.silences = SilenceWatch(config.silence, spec.step_seconds)
        self.blind = BlindSeries(capacity, 2 * (spec.window_length + config.max_gap))

    def _open_steps(self, grid: WindowConfig) -> Iterator[StatePart]:
        """Yield the parts by which steps are open; events have none."""
        if grid.length > 1:
            yield StatePart(name="steps", stage=Stage.ASSEMBLED, columns=self.steps.state)
            yield StatePart(
                name="offsets", stage=Stage.ASSEMBLED, columns=self.windows.offsets.state
            )
            yield StatePart(name="leap", stage=Stage.ASSEMBLED, columns=self.leaps.state)
        if grid.length > 1 and grid.lateness:
            yield StatePart(name="earlier", stage=Stage.ASSEMBLED, columns=self.windows.earlier)

    def _of_rules(self) -> Iterator[StatePart]:
        """Yield what rules know of the values before, if there are such rules."""
        if self.rules is not None and self.rules.has_state:
            yield StatePart(name="rules", stage=Stage.ASSEMBLED, columns=self.rules.state)

    @property
    def series_bytes(self) -> int:
        """Memory of one series."""
        return self.layout.row_bytes + NAME_BYTES

    def rows(self, names: list[SeriesName]) -> NDArray[np.int32]:
        """Return the row of each series, initialised if it is new.

        Raises:
            IndexError: If there are too few free rows.
        """
        rows, new = self.index.rows(names)
        if len(new):
            self.layout.begin(new)
        return rows

    def capture(self, rows: NDArray[np.int32]) -> Capture:
        """Copy the parts of these series that assembling changes."""
        return Capture(rows=rows, assembled=self.layout.copy(rows, Stage.ASSEMBLED))

    def complete(self, capture: Capture) -> SavedSeries:
        """Add the parts that scoring and deciding have changed since, and nothing later."""
        since = self.layout.copy(capture.rows, Stage.SCORED, Stage.DECIDED)
        names = [self.index.name(row) for row in capture.rows.tolist()]
        tracked_rows = {*self.incidents.tracked_rows, *self.silences.open_rows}
        return SavedSeries(
            names=names,
            states={**capture.assembled, **since},
            incidents={
                name: self.incidents_of(row)
                for name, row in zip(names, capture.rows.tolist(), strict=True)
                if row in tracked_rows
            },
        )

    def incidents_of(self, row: int) -> SeriesIncidents:
        """Return the current incidents of a series."""
        return SeriesIncidents(anomaly=self.incidents.save(row), silence=self.silences.get(row))

    def n_open_incidents(self, rows: Iterable[int]) -> int:
        """Return how many incidents of these series are firing, of both kinds."""
        firing, silent = self.incidents.incident, self.silences.open_rows
        return sum((firing(row) is not None) + (row in silent) for row in rows)

    def load(
        self,
        names: list[SeriesName],
        states: Mapping[str, NDArray[np.void]],
        *,
        by_this_model: bool = True,
    ) -> bool:
        """Restore K saved series.

        Args:
            names: K series.
            states: (K,) of each part that was saved and fits, the essential ones among them.
            by_this_model: If not, the parts of scoring and deciding are reset.

        Returns:
            Whether every part was restored; else the series must be saved again.

        Raises:
            IndexError: If there are too few free rows.
        """
        rows, _ = self.index.rows(names)
        stages = tuple(Stage) if by_this_model else (Stage.ASSEMBLED,)
        is_whole = self.layout.load(rows, states, *stages)
        self.index.recorded[rows] = True
        if not is_whole:
            self.index.changed[rows] = True
        return is_whole

    def load_incidents(self, name: SeriesName, saved: SeriesIncidents, now_ns: int) -> None:
        """Restore a series' incidents; a new series starts as if a reading had just arrived.

        Raises:
            IndexError: If there are too few free rows.
        """
        is_new = self.index.find(name) is None
        row = int(self.rows([name])[0])
        if is_new:
            self.index.arrived[row] = now_ns
            self.index.changed[row] = True
        self.index.recorded[row] = True
        self.incidents.load(row, saved.anomaly)
        self.silences.close(row)
        if saved.silence is not None:
            self.silences.open(row, saved.silence)

    def release(self, rows: NDArray[np.int32]) -> list[SeriesName]:
        """Release the rows of series; return their names."""
        for row in rows.tolist():
            self.incidents.forget(row)
            self.silences.close(row)
        self.steps.forget(rows)
        self.blind.forget(rows)
        return self.index.release(rows)
