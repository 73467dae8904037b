"""The long-running process: poll loop, scoring worker, maintenance."""
