"""Reading topics outside the group."""
