"""Alert events, dead letters and saved state as bytes; versioned."""
