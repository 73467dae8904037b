"""The state of series: saved to the changelog topic, and restored from it."""
