"""A schema registry that speaks Confluent's HTTP API."""
