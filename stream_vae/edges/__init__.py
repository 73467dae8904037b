"""Every side effect: Kafka, files, HTTP, logs and metrics. Siblings do not know each other."""
