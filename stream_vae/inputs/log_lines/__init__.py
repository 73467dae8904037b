"""Records of logs to lines, in columns."""
