"""From readings to alert events, with the state of all series."""
