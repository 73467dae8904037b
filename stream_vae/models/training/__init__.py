"""From the history of some series to a calibrated model bundle."""
