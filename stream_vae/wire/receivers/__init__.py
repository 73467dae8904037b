"""Alert events as the receivers of other makers take them."""
