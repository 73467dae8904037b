"""The data sets by name: how each is loaded, judged and published."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from stream_vae.evaluate.data_sets.adbench import load_adbench
from stream_vae.evaluate.data_sets.bgl import load_bgl
from stream_vae.evaluate.data_sets.digits import load_digits
from stream_vae.evaluate.data_sets.ecg5000 import load_ecg5000
from stream_vae.evaluate.data_sets.folder import DataFolder
from stream_vae.evaluate.data_sets.hdfs import load_hdfs
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
from stream_vae.evaluate.data_sets.task import Part
from stream_vae.evaluate.data_sets.tsb_ad_m import load_tsb_ad_m, published_vus_pr

_NO_TABLE = (
    "none under this rule: the usual tables are of point-adjusted F1, under which random scores "
    "reach .9 on such data (Kim et al. 2022), and are left out"
)
_SEE_TSB = "; benchmark tsb-ad-m has a published table of machines of this set"

Loader = Callable[[DataFolder], Sequence[Part]]
Summary = Callable[[Sequence[Result]], dict[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A row of the literature's table."""

    method: str
    part: str = ""
    """Of the data set, where the table has several."""
    figures: Mapping[str, float]
    rule: str = ""
    """How it differs from the other rows, in a word or two."""


def _none(_: DataFolder) -> Sequence[Published]:
    return ()


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
    compared_by: str | None = "average_precision"
    """Figure of a file by which our first score is compared with each other method; None where the
    parts are settings of their own, or only all files together have a figure."""
    by_part: bool = False
    """Whether each part of the data set is a setting of its own, with table rows of its own."""
    published: tuple[Published, ...] = ()
    published_in: Callable[[DataFolder], Sequence[Published]] = _none
    """Further published rows, of which the data set's folder has a table."""
    source: str = ""
    """Of the published rows, and how their protocol differs."""


def _point_by_point(title: str, load: Loader, folder: str, *, also: str = "") -> Family:
    """Return a data set of labelled streams, judged row by row."""
    return Family(
        title=title,
        load=load,
        folder=folder,
        figures=("average_precision", "roc_auc", "best_f1", "f1"),
        rule="point by point, no point adjustment; best_f1's cut is chosen on the test labels (an "
        "upper bound), f1's is the 99 % quantile of held-out training scores; mean over files",
        source=_NO_TABLE + also,
    )


def _skab(method: str, f1: float, far: float, mar: float) -> Published:
    return Published(method=method, figures={"f1": f1, "far": far, "mar": mar})


def _ecg(method: str, part: str, auc: float, accuracy: float, f1: float) -> Published:
    return Published(
        method=method, part=part, figures={"roc_auc": auc, "accuracy": accuracy, "f1": f1}
    )


_FITTED_TO_ALL = frozenset(
    {"IForest", "LOF", "PCA", "HBOS", "KNN", "KMeansAD", "COPOD", "CBLOF", "EIF", "RobustPCA"}
)
"""Methods of TSB-AD-M that see the whole series, test rows included, when they are fitted."""


def _tsb_ad_m(folder: DataFolder) -> Sequence[Published]:
    return [
        Published(
            method=method,
            part=machine,
            figures={"vus_pr": value},
            rule="fitted to the whole series" if method in _FITTED_TO_ALL else "fitted to its head",
        )
        for method, by_machine in published_vus_pr(folder).items()
        for machine, value in by_machine.items()
    ]


FAMILIES: Mapping[str, Family] = {
    "smd": _point_by_point("Server Machine Dataset", load_smd, "smd", also=_SEE_TSB),
    "asd": _point_by_point("Application Server Dataset", load_asd, "asd"),
    "tsb-ad-m": Family(
        title="TSB-AD-M on the Server Machine Dataset",
        load=load_tsb_ad_m,
        folder="smd",
        figures=("vus_pr", "average_precision", "roc_auc"),
        rule="the series is a machine's test part; ours and the baselines learn from its first "
        "train_rows rows and judge all; VUS-PR with the benchmark's period as longest buffer; mean "
        "over machines",
        compared_by="vus_pr",
        published_in=_tsb_ad_m,
        source="Liu & Paparrizos (2024), TSB-AD, NeurIPS, from the folder's table, mean over the "
        "machines that were run",
    ),
    "skab": Family(
        title="Skoltech Anomaly Benchmark",
        load=load_skab,
        folder="skab",
        figures=("f1", "far", "mar", "average_precision", "best_f1"),
        rule="first 400 rows of a run train, the rest is judged; rows of all runs pooled; the cut "
        "comes from held-out training rows; all rows anomalous is F1 0.70",
        summarise=pooled_rows,
        published=(
            _skab("Conv-AE", 0.78, 0.136, 0.280),
            _skab("MSET", 0.78, 0.397, 0.141),
            _skab("T2+Q", 0.76, 0.266, 0.249),
            _skab("LSTM-AE", 0.74, 0.300, 0.259),
            _skab("LSTM-VAE", 0.56, 0.091, 0.550),
            _skab("isolation forest", 0.29, 0.026, 0.829),
        ),
        source="SKAB's leaderboard, over all its 34 runs; ours over those in the folder",
    ),
    "nab": Family(
        title="Numenta Anomaly Benchmark",
        load=load_nab,
        folder="nab",
        figures=("nab_standard", "nab_standard_cut_on_labels"),
        rule="NAB's own rule, standard profile; nab_standard counts the incidents that the "
        "detector opens under the profile for single series, without labels, each followed by "
        "quiet of a fifth of the probation; the other is as the leaderboard does: one cut of the "
        "likelihood for all files, chosen on their labels",
        summarise=nab_scores,
        compared_by=None,
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
        compared_by=None,
        published=(
            _ecg("VRAE, clustering or Wasserstein", "mixed", 0.9819, 0.9596, 0.9522),
            _ecg("VRAE, SVM on the latent", "supervised", 0.9836, 0.9843, 0.9844),
        ),
        source="Pereira & Silveira (2018), as on the author's slides",
    ),
    "smap-msl": _point_by_point("SMAP and MSL telemetry", load_smap_msl, "smap_msl"),
    "adbench": Family(
        title="ADBench tables",
        load=load_adbench,
        folder="adbench_tabular",
        figures=("roc_auc", "average_precision", "best_f1"),
        rule="windows of one record; a random half of the normal records trains, the other half "
        "and all anomalies are judged; mean over tables",
        compared_by="roc_auc",
        source="none under this rule: ADBench's own tables (Han et al. 2022) train on "
        "anomalies too, and are left out",
    ),
    "digits": Family(
        title="8x8 digits",
        load=load_digits,
        folder=None,
        figures=("roc_auc", "average_precision", "best_f1"),
        rule="an image is a sequence of 8 rows; half of the images of nine digits train, the "
        "tenth is the anomaly; mean over the ten",
        compared_by="roc_auc",
        source="none under this rule",
    ),
    "hdfs": Family(
        title="HDFS sessions",
        load=load_hdfs,
        folder="hdfs",
        figures=("f1", "precision", "recall", "far", "roc_auc"),
        rule="4,855 normal sessions train, 1,000 normal and 1,000 anomalous ones are judged; "
        "precision and F1 at 2.9 % anomalies, as in the whole log; the cut is the daemon's first "
        "threshold at 99.9 %, of a Pareto tail over training sessions that were not fitted to: for "
        "the model all of them, by cross-validation, for the others a fifth; a Markov chain sees "
        "the order of events, the others how many there are of each",
        compared_by=None,
        published=tuple(
            Published(method=method, figures={"f1": f1})
            for method, f1 in (
                ("LogAnomaly", 0.976),
                ("DeepLog", 0.945),
                ("invariants", 0.915),
                ("clustering", 0.837),
                ("PCA", 0.769),
            )
        ),
        source="Meng et al. (2019) and papers before it, over all 575,061 sessions, of which they "
        "train on other parts; their cuts and numbers of candidates are chosen by hand",
    ),
    "bgl": Family(
        title="BlueGene/L, lines in buckets of 6 h",
        load=load_bgl,
        folder="loghub_2k",
        figures=("average_precision", "roc_auc", "best_f1"),
        rule="the first half of the time without its alerts trains, templates included; buckets of "
        "the second half are judged, anomalous with any alert line; 2,000 lines sampled from "
        "4.7 million",
        compared_by=None,
        source="none under this rule: the published ones are of all lines",
    ),
}
"""By the name that the command takes."""
