"""Measures and baselines that a detector is held against."""
