"""Bytes of an input record to readings, and back."""
