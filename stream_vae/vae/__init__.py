"""The LSTM seq2seq VAE: network, training, scoring, bundle. Torch lives here."""
