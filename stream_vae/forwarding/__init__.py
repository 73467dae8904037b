"""Alert events for receivers outside Kafka: at least once, those of an incident in order."""
