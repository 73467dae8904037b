"""Thresholds on scores, each by name: from a score to a verdict.

`base` says what every threshold does; `factory` builds the one that the settings name. `fixed`
holds a constant value; `percentile`, `mean_sd` and `pot` learn from each series' own normal scores
by the rules in `learnt`.
"""
