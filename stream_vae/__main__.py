"""`python -m stream_vae`."""

from stream_vae.cli import main

if __name__ == "__main__":
    main()
