"""The Kafka client: consuming, transactional delivery, the embedded broker."""
