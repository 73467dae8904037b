"""What the commands do, one module each; imported when a command is run, not for its help."""
