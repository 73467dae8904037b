"""Bytes to values and back; pure and versioned."""
