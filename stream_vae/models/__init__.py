"""Trained models: network, likelihoods, scores, training, bundle. Torch lives here."""
