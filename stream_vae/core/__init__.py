"""Values and arithmetic: what every room speaks in. Needs numpy at most."""
