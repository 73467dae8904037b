"""Pictures of histories and backtests, drawn with matplotlib; nothing is read or written."""
