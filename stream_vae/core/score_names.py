"""Names of scores, as far as an operator can get them wrong."""

from collections.abc import Collection

LIKELIHOOD_SCORE = "fused_window"
"""The score that the likelihood of a single series is made of, where a bundle has it."""

RENAMED = {"reconstruction_error": "squared_error"}
"""Former name -> name; bundles of earlier releases are calibrated under the former."""

_NEEDS = {
    "supervised": (
        "it is fitted at training where the files have a column of labels with both 0 and 1"
    ),
    "tracked": "it is fitted where no feature is categorical",
    "fused": (
        "it is fitted where no feature is categorical and training.members names another member "
        "than the network"
    ),
    "fused_window": (
        "it is fitted to a single numeric feature where training.members names memory"
    ),
    "combined": "training.combined names the scores that it combines",
}
"""Score -> what it takes at training, for those that not every training fits."""


def unusable_score(score: str, calibrated: Collection[str]) -> str:
    """Return the message for a score that a bundle cannot give.

    Args:
        score: As the operator named it.
        calibrated: Scores that the bundle is calibrated for.
    """
    message = (
        f"score: found {score!r}, expected auto or one the bundle is calibrated for: "
        f"{sorted(calibrated)}"
    )
    if score in RENAMED:
        return f"{message}; {score!r} is now called {RENAMED[score]!r}"
    if score in _NEEDS:
        return f"{message}; {score!r} is missing: {_NEEDS[score]}"
    return f"{message}; a bundle of an earlier release must be retrained for the others"
