"""One module per command of the `stream-vae` program."""
