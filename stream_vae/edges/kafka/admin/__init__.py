"""Topics: looking for them, checking and making them."""
