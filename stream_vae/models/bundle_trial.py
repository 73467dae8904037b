"""A bundle is tried when it is read: weights that fit no window are refused, not found later."""

from collections.abc import Sequence

import numpy as np
import torch

from stream_vae.errors import BundleError
from stream_vae.models.bundle import Bundle
from stream_vae.models.bundle_names import WEIGHTS_FILE
from stream_vae.models.outputs import WindowOutput
from stream_vae.models.reconstruct import Reconstructor
from stream_vae.models.scores.score import Score

_BATCHES = (1, 11)
"""Padded to 8 and 11: a tensor as long as one batch is not as long as the other."""

_UNFIT = (RuntimeError, IndexError, ValueError, OverflowError)
"""What torch raises for shapes and indices that do not fit together."""


@torch.inference_mode()
def try_bundle(bundle: Bundle, scores: Sequence[Score]) -> None:
    """Score windows of nothing unusual.

    Raises:
        BundleError: If network or scores cannot, or not with finite numbers; names the score.
    """
    found = Reconstructor(bundle, [], device=torch.device("cpu"), max_batch=max(_BATCHES))
    shape = (bundle.spec.window_length, len(bundle.spec.features))
    for n in _BATCHES:
        windows = np.zeros((n, *shape), np.float32)
        output = found.reconstruct(windows, np.zeros(n, np.int64))
        if not bool(torch.isfinite(output.expected).all()):
            raise BundleError(
                f"{WEIGHTS_FILE}: found weights with which the network expects infinite values of "
                "a usual window, expected finite ones"
            )
        for score in scores:
            wrong = _fault_of(score, output)
            if wrong:
                raise BundleError(f"{WEIGHTS_FILE}: score.{score.name}: {wrong}")


def _fault_of(score: Score, output: WindowOutput) -> str:
    """Return why a score is of no use for windows; "" if it is."""
    expected = "expected tensors that fit each other and the network"
    try:
        wrong = score.misfit(output)
        if wrong:
            return f"found {wrong}, {expected}"
        value, parts = score(output)
    except _UNFIT as error:
        return f"found tensors of other shapes or places ({error}), {expected}"
    B, _, F = output.observed.shape
    if (value.shape, parts.shape) != ((B,), (B, F)):
        return f"found scores of shape {tuple(value.shape)} of {B} windows, {expected}"
    if not bool(torch.isfinite(value.float()).all()):
        return "found tensors with which a usual window scores infinitely, expected finite scores"
    return ""
