"""The LSTM seq2seq variational autoencoder: network, training, scoring, bundle. Torch lives here."""
