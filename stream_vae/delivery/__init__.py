"""Outputs, state and input offsets, committed together in one transaction."""
