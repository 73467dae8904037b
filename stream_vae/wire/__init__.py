"""Versioned byte formats of alert events, dead letters and saved state."""
