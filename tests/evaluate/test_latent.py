"""Samples of the latent space, and their projections."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from stream_vae.core.readings import ReadingBatch
from stream_vae.evaluate import latent
from stream_vae.evaluate.history import History, run_history
from stream_vae.evaluate.latent import LatentSample
from stream_vae.evaluate.pictures.latent_space import draw_latent
from stream_vae.evaluate.pictures.themes import render_png
from stream_vae.pipeline.pipeline import Pipeline
from tests.conftest import NOW
from tests.evaluate.test_history import make_stream

Sampled = Callable[..., tuple[LatentSample, History, NDArray[np.int8]]]


def newest(windows: NDArray[np.float64], end_times: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the newest values, as if they were a latent of three dimensions."""
    assert len(windows) == len(end_times)
    return np.asarray(windows[:, -1], np.float64)


@pytest.fixture
def sampled(
    make_pipeline: Callable[..., Pipeline], make_readings: Callable[..., ReadingBatch]
) -> Sampled:
    """Run a history in which ten readings of s1 are anomalous in their last feature."""

    def run(encode: latent.Encode = newest) -> tuple[LatentSample, History, NDArray[np.int8]]:
        readings = make_stream(make_readings)
        labels = np.zeros(len(readings), np.int8)
        labels[121:141:2] = 1
        sample = LatentSample(labels, encode, np.random.default_rng(0))
        history = run_history(make_pipeline(), readings, now=NOW, sink=sample.see)
        return sample, history, labels

    return run


@pytest.mark.slow
def test_every_projection_tells_a_separate_cluster_apart(sampled: Sampled) -> None:
    sample, history, labels = sampled()
    found = sample.project(history, labels, seed=0)
    assert found is not None
    assert list(found.planes) == ["PCA", "t-SNE"]
    assert len(found.score) == history.is_judged.sum()
    assert found.is_anomalous.sum() == 10
    for plane in found.planes.values():
        centre = plane[found.is_anomalous].mean(axis=0)
        distance = np.linalg.norm(plane - centre, axis=1)
        assert distance[found.is_anomalous].max() < distance[~found.is_anomalous].min()
    assert render_png(lambda: draw_latent(found), dpi=40)


def test_samples_are_bounded_by_kind(sampled: Sampled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latent, "_NORMAL", 30)
    monkeypatch.setattr(latent, "_ANOMALOUS", 4)
    sample, history, labels = sampled()
    found = sample.project(history, labels, seed=0)
    assert found is not None
    assert found.is_anomalous.sum() == 4
    assert len(found.score) <= 34


@pytest.mark.slow
def test_a_latent_of_one_dimension_is_drawn(sampled: Sampled) -> None:
    sample, history, labels = sampled(lambda windows, _: windows[:, -1, 2:])
    found = sample.project(history, labels, seed=0)
    assert found is not None
    assert not found.planes["PCA"][:, 1].any()
    assert render_png(lambda: draw_latent(found), dpi=40)


def test_too_few_windows_give_no_picture(sampled: Sampled) -> None:
    _, history, labels = sampled()
    nothing = LatentSample(labels, newest, np.random.default_rng(0))
    assert nothing.project(history, labels, seed=0) is None
