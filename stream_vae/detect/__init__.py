"""Decisions over scores: adaptive threshold, incidents, drift. Online state, in arrays."""
