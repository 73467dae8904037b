"""Metrics of OpenTelemetry (OTLP), as its collector's Kafka exporter writes them."""
