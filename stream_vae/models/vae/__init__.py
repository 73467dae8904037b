"""The LSTM sequence-to-sequence variational autoencoder."""
