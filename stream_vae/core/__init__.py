"""Shared value types and arithmetic. Depends on numpy at most."""
