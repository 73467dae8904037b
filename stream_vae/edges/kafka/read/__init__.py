"""Reading topics without group membership."""
