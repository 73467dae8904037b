"""Trained models. Torch lives here.

From a window to its score: `reconstruct` runs it through `vae/` (a network and one of `likelihoods`
on the decoder's states); `outputs` holds the result per step and feature; one of `scores` reduces
that to a number; `scoring` does all this for batches. `training/` produces a `bundle`.
"""
