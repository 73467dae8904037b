"""The names of a bundle's files; light, so that who looks for them need not load torch."""

WEIGHTS_FILE = "weights.safetensors"
MODEL_FILE = "model.json"
