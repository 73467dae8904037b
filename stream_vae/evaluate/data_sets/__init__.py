"""Public labelled data sets in their published layouts, and runs of the detectors over them."""
