"""The data sets by name: how each is loaded, judged and published."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from stream_vae.evaluate.data_sets.adbench import load_adbench
from stream_vae.evaluate.data_sets.digits import load_digits
from stream_vae.evaluate.data_sets.ecg5000 import load_ecg5000
from stream_vae.evaluate.data_sets.folder import DataFolder
from stream_vae.evaluate.data_sets.nab import load_nab
from stream_vae.evaluate.data_sets.servers import load_asd, load_smd
from stream_vae.evaluate.data_sets.skab import load_skab
from stream_vae.evaluate.data_sets.smap_msl import load_smap_msl
from stream_vae.evaluate.data_sets.summaries import (
    Result,
    mean_over_files,
    nab_scores,
    pooled_rows,
)
from stream_vae.evaluate.data_sets.task import Task

Loader = Callable[[DataFolder], Iterator[Task]]
Summary = Callable[[Sequence[Result]], dict[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A row of the literature's table."""

    method: str
    part: str = ""
    """Of the data set, where the table has several."""
    figures: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A data set."""

    title: str
    load: Loader
    folder: str | None
    """Name that its folder usually has; None if no folder is needed."""
    figures: tuple[str, ...]
    """Columns of the table."""
    rule: str
    """How the figures come about, for the reader of the table."""
    summarise: Summary = mean_over_files
    by_part: bool = False
    """Whether each part of the data set has a table row of its own."""
    published: tuple[Published, ...] = ()
    source: str = ""
    """Of the published rows, and how their protocol differs."""


_RANKING = ("average_precision", "roc_auc", "best_f1", "f1")
_POINTS = (
    "point by point, no point adjustment; best_f1's cut is chosen on the test labels (an upper "
    "bound), f1's is the 99 % quantile of held-out training scores; mean over files"
)


def _skab(method: str, f1: float, far: float, mar: float) -> Published:
    return Published(method=method, figures={"f1": f1, "far": far, "mar": mar})


def _ecg(method: str, part: str, auc: float, accuracy: float, f1: float) -> Published:
    return Published(
        method=method, part=part, figures={"roc_auc": auc, "accuracy": accuracy, "f1": f1}
    )


FAMILIES: Mapping[str, Family] = {
    "smd": Family(
        title="Server Machine Dataset",
        load=load_smd,
        folder="smd",
        figures=_RANKING,
        rule=_POINTS,
        source="no table under this rule is published; point-adjusted ones are not comparable",
    ),
    "asd": Family(
        title="Application Server Dataset",
        load=load_asd,
        folder="asd",
        figures=_RANKING,
        rule=_POINTS,
        source="no table under this rule is published; point-adjusted ones are not comparable",
    ),
    "skab": Family(
        title="Skoltech Anomaly Benchmark",
        load=load_skab,
        folder="skab",
        figures=("f1", "far", "mar", "average_precision", "best_f1"),
        rule="first 400 rows of a run train, the rest is judged; rows of all runs pooled; far and "
        "mar in %; the cut comes from held-out training rows; all rows anomalous is F1 0.70",
        summarise=pooled_rows,
        published=(
            _skab("Conv-AE", 0.78, 13.6, 28.0),
            _skab("MSET", 0.78, 39.7, 14.1),
            _skab("T2+Q", 0.76, 26.6, 24.9),
            _skab("LSTM-AE", 0.74, 30.0, 25.9),
            _skab("LSTM-VAE", 0.56, 9.1, 55.0),
            _skab("isolation forest", 0.29, 2.6, 82.9),
        ),
        source="SKAB's leaderboard, over all its 34 runs; ours over those in the folder",
    ),
    "nab": Family(
        title="Numenta Anomaly Benchmark",
        load=load_nab,
        folder="nab",
        figures=("nab_standard", "nab_standard_cut_on_labels"),
        rule="NAB's own rule, standard profile; nab_standard cuts without labels, at a likelihood "
        "of 3 standard deviations with cool-down; the other as the leaderboard does: one cut for "
        "all files, chosen on their labels",
        summarise=nab_scores,
        published=tuple(
            Published(method=method, figures={"nab_standard_cut_on_labels": score})
            for method, score in (
                ("ARTime", 74.9),
                ("HTM", 70.5),
                ("CAD OSE", 69.9),
                ("Skyline", 58.2),
                ("KNN-CAD", 58.0),
                ("random cut forest", 51.7),
                ("windowed Gaussian", 39.6),
                ("random", 11.0),
            )
        ),
        source="NAB's leaderboard, over the full corpus of 58 files; ours over those in the folder",
    ),
    "ecg5000": Family(
        title="UCR ECG5000",
        load=load_ecg5000,
        folder="ecg5000",
        figures=("roc_auc", "accuracy", "f1", "best_f1"),
        rule="4,500 test beats; accuracy and f1 at a cut from the training file alone: the 99 % "
        "quantile of held-out normal beats (normal only), two groups of the training scores "
        "(mixed), or even odds by a classifier of the training labels (supervised; the baselines, "
        "which learn from all beats there, at their best F1 on these labels)",
        by_part=True,
        published=(
            _ecg("VRAE, clustering or Wasserstein", "mixed", 0.9819, 0.9596, 0.9522),
            _ecg("VRAE, SVM on the latent", "supervised", 0.9836, 0.9843, 0.9844),
        ),
        source="Pereira & Silveira (2018), as on the author's slides",
    ),
    "smap-msl": Family(
        title="SMAP and MSL telemetry",
        load=load_smap_msl,
        folder="smap_msl",
        figures=_RANKING,
        rule=_POINTS,
        source="no table under this rule is published; point-adjusted ones are not comparable",
    ),
    "adbench": Family(
        title="ADBench tables",
        load=load_adbench,
        folder="adbench_tabular",
        figures=("roc_auc", "average_precision", "best_f1"),
        rule="windows of one record; a random half of the normal records trains, the other half "
        "and all anomalies are judged; mean over tables",
        source="ADBench's own tables train on anomalies too and are not comparable",
    ),
    "digits": Family(
        title="8x8 digits",
        load=load_digits,
        folder=None,
        figures=("roc_auc", "average_precision", "best_f1"),
        rule="an image is a sequence of 8 rows; half of the images of nine digits train, the "
        "tenth is the anomaly; mean over the ten",
        source="no table under this rule is published",
    ),
}
"""By the name that the command takes."""
