"""Fitting of scores, and quantiles of normal scores on held-out windows."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from stream_vae.detect.config import TrackingConfig
from stream_vae.detect.tracking import BLOCK, ResidualTracker
from stream_vae.errors import ConfigError
from stream_vae.models.bundle import Bundle, build_score
from stream_vae.models.config import TrainingConfig
from stream_vae.models.device import resolve_device
from stream_vae.models.members import MEMBERS
from stream_vae.models.members.member import Member
from stream_vae.models.outputs import WindowOutput
from stream_vae.models.reconstruct import Reconstructor
from stream_vae.models.scores.combined import Combined
from stream_vae.models.scores.error import SquaredError
from stream_vae.models.scores.likelihood import LogProbability
from stream_vae.models.scores.score import (
    FittingData,
    HeldOut,
    LatentSample,
    Score,
    log_error,
    part_residuals,
)
from stream_vae.models.scores.single import SINGLE_SCORES
from stream_vae.models.scores.supervised import Supervised
from stream_vae.models.scores.tracked import FusedWindow, Tracked, filled, tracking_of
from stream_vae.models.training.coverage import Unseen, coverages
from stream_vae.models.training.labelled_thresholds import best_thresholds
from stream_vae.models.training.training_windows import (
    ANOMALOUS,
    NORMAL,
    UNLABELLED,
    WindowSet,
)

NETWORK = "vae"
"""The member that is the network."""

QUANTILE_LEVELS = np.linspace(0.0, 1.0, 1001)
"""Levels of the quantiles kept in a bundle."""

_MAX_WINDOWS = 20_000
"""Enough for the 0.999 quantile to rest on 20 windows, and a few seconds of work."""

_MAX_TRAINING_WINDOWS = 5_000
"""As many labelled and unlabelled ones each: the latent scores keep far fewer."""

_MAX_MEMBER_WINDOWS = 10_000
_MAX_MEMBER_VALUES = 16_000_000
"""Of each part of the history, for the members beside the network: 64 MB."""

_KNOW_COVERAGE = frozenset({Combined.name, Supervised.name})
"""Scores whose values are made of other scores' quantiles, or have a border of their own."""

_BATCH = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A network, what it was fitted to, and windows that it has not seen."""

    bundle: Bundle
    """Without scores."""
    fitted_to: Sequence[WindowSet]
    held_out: WindowSet


def calibrate(
    bundle: Bundle,
    *,
    fitted_to: Sequence[WindowSet],
    sources: Sequence[Source],
    device: torch.device,
    only: Collection[str] = SINGLE_SCORES,
) -> Bundle:
    """Return the bundle with every score that can be fitted, and its quantiles.

    Held-out windows that are labelled anomalous are left out of both. Quantiles are those of
    single windows. Where the sources are folds of a cross-validation, each fold's windows are
    scored by its own network, members and latent, and with what is usual in all folds.

    Args:
        bundle: Without scores.
        fitted_to: Windows that its network has seen, for the latent scores.
        sources: Where the held-out windows are: one of this network, or the folds.
        device: Where to compute.
        only: Scores that are wanted.
    """
    training = bundle.training.config
    every = [_Prepared.of(one, device) for one in sources]
    if len(every) == 1:
        network, members = every[0].network, every[0].members
    else:
        network = _network(bundle, device)
        members = _members(network, fitted_to, training)
    data = FittingData(
        n_features=len(bundle.spec.features),
        device=device,
        held_out=[one.held_out for one in every],
        training=_latent_sample(network, fitted_to),
        members=members,
        has_distances=all(one.kind != "categorical" for one in bundle.spec.features),
        latent_clusters=training.latent_clusters,
        seed=bundle.noise_seed,
    )
    scores = _fitted(data, only)
    unseen = [one.unseen(data, only) if len(every) > 1 else one.by(scores) for one in every]
    values: dict[str, NDArray[np.float64]] = {}
    for one, source in zip(unseen, sources, strict=True):
        chosen = [(one.windows, _chosen_held_out(one.windows))]
        for name, found in _values(one.scores, source.bundle, chosen, device).items():
            values[name] = np.concatenate([values.get(name, np.empty(0)), found])
    chosen_names = [name for name in combined_names(training) if name in scores]
    if len(chosen_names) > 1:
        combined = Combined.of(
            {name: scores[name] for name in chosen_names},
            {name: torch.from_numpy(_quantiles(values[name])).to(device) for name in chosen_names},
        )
        of_each = {name: torch.from_numpy(values[name]).to(device) for name in chosen_names}
        scores[combined.name] = combined
        values[combined.name] = combined.total(of_each).cpu().numpy()
    states = {name: score.state() for name, score in scores.items()}
    states = {name: state for name, state in states.items() if state}
    dependent = [
        replace(one, scores={n: s for n, s in one.scores.items() if n not in _KNOW_COVERAGE})
        for one in unseen
    ]
    coverage = coverages(dependent, seed=bundle.noise_seed)
    return replace(
        bundle,
        score_states=states,
        spec=replace(
            bundle.spec,
            calibration={name: _quantiles(found) for name, found in values.items()},
            tracking=tracking_of(states),
            coverage=coverage,
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    """A source, ready to give its held-out windows."""

    source: Source
    network: Reconstructor
    members: tuple[Member, ...]
    device: torch.device

    @classmethod
    def of(cls, source: Source, device: torch.device) -> "_Prepared":
        """Return a source with its network on the device and its members fitted."""
        network = _network(source.bundle, device)
        members = _members(network, source.fitted_to, source.bundle.training.config)
        return cls(source=source, network=network, members=members, device=device)

    @property
    def held_out(self) -> HeldOut:
        """Return what scores are fitted to."""
        outputs = _HeldOut(self.network, self.source.held_out)
        return HeldOut(outputs=outputs, members=self.members, constant=self._constant)

    @property
    def _constant(self) -> torch.Tensor:
        """Return (F,) the mean of what the network was fitted to."""
        steps = np.concatenate([windows.steps for windows in self.source.fitted_to])
        seen = np.isfinite(steps)
        total = np.where(seen, steps, 0).sum(axis=0, dtype=np.float64)
        mean = torch.from_numpy((total / np.maximum(seen.sum(axis=0), 1)).astype(np.float32))
        return mean.to(self.device)

    def unseen(self, data: FittingData, only: Collection[str]) -> Unseen:
        """Return the windows with scores of this network's latent and these members."""
        sample = _latent_sample(self.network, self.source.fitted_to)
        return self.by(_fitted(replace(data, training=sample, members=self.members), only))

    def by(self, scores: Mapping[str, Score]) -> Unseen:
        """Return the windows with their scores."""
        return Unseen(scores=scores, network=self.network, windows=self.source.held_out)


def _network(bundle: Bundle, device: torch.device) -> Reconstructor:
    scores = [LogProbability(), SquaredError()]
    return Reconstructor(bundle, scores, device=device, max_batch=_BATCH)


def _fitted(data: FittingData, only: Collection[str]) -> dict[str, Score]:
    """Return the wanted scores that the data suffice for."""
    # For single series alone: its memory would make every bundle twice as large.
    wanted = {name: score for name, score in SINGLE_SCORES.items() if name in only}
    if data.n_features > 1:
        wanted.pop(FusedWindow.name, None)
    fitted = {name: score.fitted(data) for name, score in wanted.items()}
    return {name: score for name, score in fitted.items() if score is not None}


def combined_names(training: TrainingConfig) -> list[str]:
    """Return the scores that `training.combined` names.

    Raises:
        ConfigError: If they are not two or more different ones, or one follows its series.
    """
    names = _names(training.combined)
    usable = {name for name, score in SINGLE_SCORES.items() if not issubclass(score, Tracked)}
    if len(names) < 2 or len(set(names)) < len(names) or set(names) - usable:
        raise ConfigError(
            f"training.combined: found {training.combined!r}, expected two or more of "
            f"{sorted(usable)} joined by +"
        )
    return names


def member_names(training: TrainingConfig) -> list[str]:
    """Return the members beside the network that `training.members` names.

    Raises:
        ConfigError: If one is unknown or named twice, or the network is missing.
    """
    names = _names(training.members)
    known = {NETWORK, *MEMBERS}
    if NETWORK not in names or len(set(names)) < len(names) or set(names) - known:
        raise ConfigError(
            f"training.members: found {training.members!r}, expected {NETWORK} and any of "
            f"{sorted(MEMBERS)}, joined by +"
        )
    return [name for name in MEMBERS if name in names]


def _names(joined: str) -> list[str]:
    return [name.strip() for name in joined.split("+")]


def _members(
    reconstructor: Reconstructor, parts: Sequence[WindowSet], training: TrainingConfig
) -> tuple[Member, ...]:
    """Return the members fitted to windows that the network was fitted to, without anomalous ones.

    What was not observed is filled as it is when they score.
    """
    names = member_names(training)
    if not names:
        return ()
    flat: list[torch.Tensor] = []
    for windows in parts:
        normal = np.flatnonzero(windows.labels() != ANOMALOUS)
        n_values = windows.window_length * windows.steps.shape[1]
        most = max(min(_MAX_MEMBER_WINDOWS, _MAX_MEMBER_VALUES // n_values), 1)
        for output, which in _outputs(reconstructor, windows, _spaced(normal, most)):
            flat.append(filled(output)[: len(which)].flatten(1))
    if not flat:
        return ()
    together = torch.cat(flat)
    return tuple(MEMBERS[name].fitted(together, seed=training.seed) for name in names)


@dataclass(frozen=True, slots=True)
class _HeldOut:
    """Batches of held-out windows, computed anew each time they are gone through."""

    reconstructor: Reconstructor
    windows: WindowSet

    def __iter__(self) -> Iterator[WindowOutput]:
        chosen = _chosen_held_out(self.windows)
        return (output for output, _ in _outputs(self.reconstructor, self.windows, chosen))


def choose_thresholds(bundle: Bundle, parts: Sequence[WindowSet], device: torch.device) -> Bundle:
    """Return the bundle with every score's best thresholds on labelled windows.

    A window counts with the label of its newest step, the one that it is judged for. The parts are
    used up to the first with which there are labels of both kinds; without any, there is no
    threshold.

    Args:
        bundle: With calibrated scores.
        parts: The least biased first.
        device: Where to compute.
    """
    used: list[tuple[WindowSet, NDArray[np.int64]]] = []
    labels = np.empty(0, np.int8)
    for windows in parts:
        label = windows.newest_labels()
        which = _spaced(np.flatnonzero(label != UNLABELLED), _MAX_WINDOWS)
        used.append((windows, which))
        labels = np.concatenate([labels, label[which]])
        if np.isin([NORMAL, ANOMALOUS], labels).all():
            break
    else:
        return bundle
    scores = {name: build_score(bundle, name, device) for name in bundle.spec.calibration}
    found = {
        name: best_thresholds(labels == ANOMALOUS, values)
        for name, values in _values(scores, bundle, used, device).items()
    }
    return replace(bundle, spec=replace(bundle.spec, labelled_thresholds=found))


def score_windows(bundle: Bundle, windows: WindowSet, name: str) -> NDArray[np.float64]:
    """Return scores (W,) of at most 20,000 windows at even distances."""
    return _scored(bundle, windows, name, _spaced(np.arange(len(windows)), _MAX_WINDOWS))


def score_labelled(
    bundle: Bundle, windows: WindowSet, name: str
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return which windows have a labelled newest step (W,), and their scores (W,)."""
    which = np.flatnonzero(windows.newest_labels() != UNLABELLED)
    return which, _scored(bundle, windows, name, which)


def _scored(
    bundle: Bundle, windows: WindowSet, name: str, which: NDArray[np.int64]
) -> NDArray[np.float64]:
    if not len(which):
        return np.empty(0)
    device = resolve_device(bundle.training.config.device)
    scores = {name: build_score(bundle, name, device)}
    return _values(scores, bundle, [(windows, which)], device)[name]


def _values(
    scores: Mapping[str, Score],
    bundle: Bundle,
    chosen: Sequence[tuple[WindowSet, NDArray[np.int64]]],
    device: torch.device,
) -> dict[str, NDArray[np.float64]]:
    """Return score -> (W,) of the chosen windows of each set, one set after the other.

    Scores that are tracked follow each series of a set from its first window to its last.
    """
    reconstructor = Reconstructor(bundle, scores.values(), device=device, max_batch=_BATCH)
    found: dict[str, list[NDArray[np.float64]]] = {name: [] for name in scores}
    for windows, wanted in chosen:
        series = windows.series_of_steps()[windows.starts].astype(np.int32)
        n_series = int(series.max(initial=0)) + 1
        apart = max(len(windows) // max(len(wanted), 1), 1)
        trackers = {
            name: _tracker(score, n_series, apart)
            for name, score in scores.items()
            if isinstance(score, Tracked)
        }
        for output, which in _outputs(reconstructor, windows, wanted):
            for name, score in scores.items():
                if isinstance(score, Tracked):
                    evidence = score.evidence(output)[: len(which)].cpu().numpy()
                    value = trackers[name].follow(series[which], evidence)
                else:
                    value = score(output)[0][: len(which)].double().cpu().numpy()
                found[name].append(value)
    return {name: np.concatenate(values) for name, values in found.items()}


def _tracker(score: Tracked, n_series: int, apart: int) -> ResidualTracker:
    """Return a tracker of windows so many steps apart."""
    usual = TrackingConfig()
    config = replace(usual, readings=max(usual.readings // apart, BLOCK))
    tracker = ResidualTracker(score.usual, config, n_series)
    tracker.state.begin(np.arange(n_series, dtype=np.int32))
    return tracker


def _quantiles(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.quantile(values, QUANTILE_LEVELS)


def _chosen_held_out(windows: WindowSet) -> NDArray[np.int64]:
    """Return at most `_MAX_WINDOWS` windows, evenly spaced; all if all are labelled anomalous."""
    normal = np.flatnonzero(windows.labels() != ANOMALOUS)
    return _spaced(normal if len(normal) else np.arange(len(windows)), _MAX_WINDOWS)


def _latent_sample(reconstructor: Reconstructor, parts: Sequence[WindowSet]) -> LatentSample:
    """Return evenly spaced windows of the parts, those with a label chosen apart."""
    means, log_vars, errors, residuals, labels = [], [], [], [], []
    for windows in parts:
        label = windows.labels()
        shares = [
            _spaced(np.flatnonzero(known), _MAX_TRAINING_WINDOWS)
            for known in (label >= 0, label < 0)
        ]
        for output, which in _outputs(reconstructor, windows, np.sort(np.concatenate(shares))):
            assert output.posterior is not None  # noqa: S101 -- the reconstructor always gives one
            means.append(output.posterior.mean[: len(which)].double().cpu())
            log_vars.append(output.posterior.log_var[: len(which)].double().cpu())
            errors.append(log_error(output)[: len(which)].double().cpu())
            residuals.append(part_residuals(output)[: len(which)].double().cpu())
            labels.append(torch.from_numpy(label[which]))
    return LatentSample(
        mean=torch.cat(means),
        log_var=torch.cat(log_vars),
        log_error=torch.cat(errors),
        residuals=torch.cat(residuals),
        labels=torch.cat(labels),
    )


def _spaced(which: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    return which[:: max(1, -(-len(which) // most))]


def _outputs(
    reconstructor: Reconstructor, windows: WindowSet, chosen: NDArray[np.int64]
) -> Iterator[tuple[WindowOutput, NDArray[np.int64]]]:
    """Yield padded batches of the chosen windows, and which they are."""
    for at in range(0, len(chosen), _BATCH):
        batch = chosen[at : at + _BATCH]
        yield reconstructor.reconstruct(*windows.take(batch)), batch
