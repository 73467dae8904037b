"""Input records to readings, and back."""
