"""Consuming the input topic as a member of the consumer group."""
