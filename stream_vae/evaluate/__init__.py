"""Metrics, and baselines that a detector is compared with."""
