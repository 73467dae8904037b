"""What is remembered of series: saved to the changelog topic, and restored from it."""
