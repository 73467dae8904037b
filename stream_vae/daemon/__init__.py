"""The long-running process: loop, worker, delivery in transactions, state in the changelog."""
