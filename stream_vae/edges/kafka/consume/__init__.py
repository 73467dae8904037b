"""The input topic, read as a member of the consumer group."""
