"""Files: CSV in, scores, alerts and bundles out."""
