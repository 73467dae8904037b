"""The straight line from readings to alert events, and what is remembered on the way."""
