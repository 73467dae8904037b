"""Topics: lookup, checks and creation."""
