"""What a stream holds, by a sample of its records, and the settings that read it."""
