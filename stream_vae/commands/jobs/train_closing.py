"""The closing words of a training: what its bundle is worth, and what comes next."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.text import Text

from stream_vae.commands.jobs.terminal import styled
from stream_vae.core.model_spec import ModelSpec
from stream_vae.detect.config import DetectConfig
from stream_vae.models.provenance import FaultTrials
from stream_vae.models.training.reports import Advice
from stream_vae.settings import LoadedSettings
from stream_vae.settings.sources import is_default

_FEW_FAULTS, _RATHER_FEW = 0.1, 0.2
"""Shares of the injected faults. A bundle that serves finds about a third: there are small ones
among them."""


def lacking(detect: DetectConfig, spec: ModelSpec) -> Iterator[str]:
    """Yield what the configuration asks for and this training could not give."""
    labels = "rows labelled 0 and 1 are needed for it, at the end of the history too"
    if detect.score != "auto" and detect.score not in spec.calibration:
        yield f"detect.score {detect.score}: not in this bundle; {labels}"
    score = spec.score if detect.score == "auto" else detect.score
    if detect.threshold.method == "labelled" and score not in spec.labelled_thresholds:
        yield f"detect.threshold.method labelled: no threshold for {score}; {labels}"


def why_no_faults(folds: int, loaded: LoadedSettings) -> str:
    """Return why no faults are injected into the history; "" if some are, or it was tried.

    Args:
        folds: Blocks that the calibration was cross-validated over; 0: it is of a held-out part.
        loaded: Settings of the training, and their origins.
    """
    training = loaded.settings.training
    if not training.injected_faults:
        return "training.injected_faults is 0"
    if not folds:
        return ""
    origin = loaded.origins["training.calibration"]
    asked = origin if is_default(origin) else "asked for by training.calibration"
    if training.calibration == "auto":
        asked = "as for all histories that are so short; collect more"
    return (
        f"all rows are fitted, and calibrated in {folds} blocks (cross_validation, {asked}), so "
        "that none is left that the bundle has not seen"
    )


def reliability(
    advice: Sequence[Advice], faults: FaultTrials | None, *, length: str
) -> Iterator[Text]:
    """Yield in red and yellow why a bundle is not to be relied on.

    Args:
        advice: Of the training.
        faults: That were injected; None if none were.
        length: How much was learnt from.
    """
    if grave := [one for one in advice if one.is_grave]:
        told = "; ".join(f"{one.kind.replace('_', ' ')}: {one.text}" for one in grave)
        yield styled(
            ("not to be relied on:", "bold red"),
            f" this bundle is of {length} ({told}). Alerts may be of anything: train "
            "on more before anyone is paged by them",
        )
    if faults is None or not faults.mixed or not faults.methods:
        return
    found = faults.methods[0].found
    if found >= _RATHER_FEW * faults.mixed:
        return
    are_few = found < _FEW_FAULTS * faults.mixed
    short = next((one.text for one in advice if one.kind == "short_history"), "")
    instead = f"train on more history (this is of {length}: {short})"
    if not short:
        instead = (
            f"train on more history than {length}, leave out features of noise (--ignore; the "
            "table of smallest faults tells), or try --search 8"
        )
    yield styled(
        ("not to be relied on:", "bold red") if are_few else ("warning:", "bold yellow"),
        f" this bundle finds {found} of {faults.mixed} faults injected into its own history. That "
        f"it raises no alert says {'nothing' if are_few else 'little'}: {instead}",
    )


def next_command(bundle: Path, configured: Path, config: Path | None, *, of_topic: bool) -> str:
    """Return the command that follows.

    Args:
        bundle: That was written.
        configured: What `run` reads by the configuration.
        config: Its file, if the command line names one.
        of_topic: Whether the history was of a topic, which is then watched.
    """
    words = ["stream-vae", "score", "--bundle", str(bundle), "--input", "FILE"]
    words += ["--output", "scores.csv"]
    if of_topic:
        words = ["stream-vae", "run"]
        if bundle.resolve() != configured.resolve():
            words += ["--bundle", str(bundle)]
    return shlex.join([*words, *(["--config", str(config)] if config else [])])
