"""The names of a bundle's files; a module of its own, so that using them does not import torch."""

WEIGHTS_FILE = "weights.safetensors"
MODEL_FILE = "model.json"
