"""Bounds on what the live page keeps and sends: its memory is a function of these alone.

Beside them a series takes 28 bytes of the ranking and 2 of the histories.
"""

RANKED = 50
"""Series in the ranking."""

FOUND = 50
"""Series that a search returns."""

INCIDENTS = 100
"""Newest incidents; those that fire stay longest."""

DEAD_LETTERS = 20
"""Newest dead letters with their details; all are counted."""

PARTITIONS = 200
"""Partitions shown, those that lag most."""

HISTORIES = 32
"""Series whose newest steps are kept: watched ones, those of incidents, and the first to be
judged."""

STEPS = 360
"""Newest steps kept of one series."""

CELLS = 12_000
"""Values kept of one series, steps times features: fewer steps of a model with many features."""

LEAST_STEPS = 30
"""Of a model with very many features; then fewer series are kept."""

FEATURES = 8
"""Features of a series that are drawn, those that deviate most."""

SUMMARY_PERIOD_S = 0.5
STEPS_PERIOD_S = 0.25
"""How often what is shown is made anew, at most, and only while somebody watches."""

CLIENTS = 16
"""Pages open at a time."""
