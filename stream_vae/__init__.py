"""Streaming anomaly detection for Kafka with an LSTM seq2seq variational autoencoder."""

from importlib.metadata import version

__version__ = version("stream-vae")
