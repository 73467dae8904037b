"""Training warns of a bundle that could not judge readings like its own."""

import numpy as np
import pytest

from stream_vae.commands.jobs.judgeable import warn_of_unjudged
from stream_vae.detect.config import DetectConfig
from stream_vae.edges.files.training_data import SeriesArrays
from tests.conftest import F, make_spec


@pytest.mark.parametrize(("every", "n_warnings"), [(1, 0), (3, 1), (20, 1)])
def test_history_too_sparse_to_be_judged_is_warned_of(every: int, n_warnings: int) -> None:
    """A reading in three steps, as on change, leaves windows mostly empty. Control: each step."""
    times = np.arange(200, dtype=np.int64) * every * 10**9
    series = SeriesArrays(key="tank", times=times, values=np.ones((200, F)))
    told = [*warn_of_unjudged([series], make_spec(), DetectConfig())]
    assert len(told) == n_warnings
    assert all("none of the calibration part" in text for text in told)
