"""Trained models. Torch lives here.

A window's way to its score: `reconstruct` runs it through `vae/` (a network and, of `likelihoods`,
the one that reads the decoder's states); `outputs` is what comes out per step and feature; one of
`scores` makes a number of that; `scoring` does it all for batches. `training/` makes a `bundle`.
"""
