"""Every data set runs on a tiny slice of its layout."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from stream_vae.errors import ConfigError, InputFileError
from stream_vae.evaluate.data_sets import (
    adbench,
    bgl,
    digits,
    ecg5000,
    hdfs,
    nab,
    servers,
    skab,
    smap_msl,
    tsb_ad_m,
)
from stream_vae.evaluate.data_sets.families import FAMILIES
from stream_vae.evaluate.data_sets.methods import MODEL
from stream_vae.evaluate.data_sets.run import jobs_of, run_job
from stream_vae.evaluate.data_sets.summaries import Result, at_cut, two_groups
from stream_vae.evaluate.data_sets.task import Part, Task, TaskSettings
from stream_vae.evaluate.data_sets.tsb_ad_m import usual_period
from stream_vae.models.device import limit_threads
from tests.evaluate.data_sets.layouts import LAYOUTS, MemoryFolder, tiny

limit_threads(1)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
Loader = Callable[[Any, TaskSettings], Sequence[Part]]
LOADERS: dict[str, tuple[Loader, TaskSettings]] = {
    "smd": (servers.load_smd, tiny(servers.SETTINGS)),
    "asd": (servers.load_asd, tiny(servers.SETTINGS)),
    "tsb-ad-m": (tsb_ad_m.load_tsb_ad_m, tiny(servers.SETTINGS)),
    "skab": (skab.load_skab, tiny(skab.SETTINGS)),
    "nab": (nab.load_nab, tiny(nab.SETTINGS)),
    "ecg5000": (ecg5000.load_ecg5000, tiny(ecg5000.SETTINGS)),
    "smap-msl": (smap_msl.load_smap_msl, tiny(smap_msl.SETTINGS)),
    "adbench": (adbench.load_adbench, tiny(adbench.SETTINGS, 1)),
    "digits": (digits.load_digits, tiny(digits.SETTINGS, 8)),
    "hdfs": (hdfs.load_hdfs, tiny(hdfs.SETTINGS, 1)),
    "bgl": (bgl.load_bgl, tiny(bgl.SETTINGS, 1)),
}


def parts_of(name: str, wanted: int = 1) -> Sequence[Part]:
    load, settings = LOADERS[name]
    return load(MemoryFolder(LAYOUTS[name]()), settings)[:wanted]


def tasks_of(name: str) -> list[Task]:
    return [part.read() for part in parts_of(name)]


def results_of(name: str, wanted: int = 1, seeds: int = 1) -> list[Result]:
    jobs = jobs_of(name, parts_of(name, wanted), range(seeds))
    return [result for job in jobs for result in run_job(job, NOW)]


@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "asd"])  # as smd
def test_every_data_set_runs_with_baselines_among_the_methods(name: str) -> None:
    results = results_of(name)
    methods = {result.row.method for result in results}
    assert {MODEL, "PCA Q", "1-NN", "isolation forest"} <= methods
    for result in results:
        assert np.isfinite(result.test).all()
        assert result.row.data == name
        if name in {
            "smd",
            "asd",
            "tsb-ad-m",
            "smap-msl",
            "adbench",
        }:  # their slices' anomalies are gross
            assert result.row.metrics["roc_auc"] > 0.9, result.row
    found = FAMILIES[name].summarise([r for r in results if r.row.method == "PCA Q"])
    assert set(FAMILIES[name].figures) <= found.keys()


@pytest.mark.slow
def test_heartbeats_are_judged_in_the_three_settings_of_the_published_table() -> None:
    results = results_of("ecg5000", 3)
    ours = {(one.row.file, one.row.score) for one in results if one.row.method == MODEL}
    assert {("mixed", "latent_cluster"), ("mixed", "latent_wasserstein")} <= ours
    assert {("normal only", "log_probability"), ("supervised", "supervised")} <= ours
    parts = [row.part for row in FAMILIES["ecg5000"].published]
    assert set(parts) <= {result.row.file for result in results}


@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "digits"])
def test_an_empty_folder_is_refused_with_the_layout(name: str) -> None:
    load, settings = LOADERS[name]
    with pytest.raises(ConfigError, match="expected"):
        load(MemoryFolder({}), settings)


@pytest.mark.parametrize(
    ("name", "file", "content", "says"),
    [
        ("smd", "train/mine-a.txt", b"1,2\n3\n", "line 2: found 1 numbers, expected 2"),
        ("smd", "train/mine-a.txt", b"1,x\n", "line 1"),
        ("smd", "test/mine-a.txt", b"1,2\n", "found 2 columns, expected 3"),
        ("smd", "test_label/mine-a.txt", b"1\n", "expected"),
        ("tsb-ad-m", "tsb_ad_m_mine.csv", b"machine,rows\nmine-a,50\n", "train_rows"),
        ("skab", "valve9/0.csv", b"datetime;a;anomaly\nt;x;0\n", "expected numbers"),
        ("skab", "valve9/0.csv", b"datetime;a;anomaly\nt;1;0\n", "more than the 400"),
        ("nab", "data/own/odd.csv", b"time,value\n1,2\n", "timestamp"),
        ("nab", "labels/combined_windows_mine.json", b"[]", "expected an object"),
        ("ecg5000", "ANY_TRAIN.txt", b"1 2 3\n1 2\n", "as many in each line"),
        ("smap-msl", "train/X-1.npy", b"nothing", "not an array"),
        ("smap-msl", "labeled_anomalies_mine.csv", b"chan\nX-1\n", "anomaly_sequences"),
        ("adbench", "1_mine.npz", b"nothing", "X and y"),
        ("hdfs", "robust_log_valid.csv", b"Sequence,label\n5 22,0\n5 22\n", "line 3: found '5 22'"),
        ("hdfs", "hdfs_train", b"\n", "a session a line"),
        ("bgl", "BGL/BGL_2k.log_structured.csv", b"Label,Content\n-,x\n", "columns Label, Time"),
    ],
)
def test_a_damaged_file_is_named(name: str, file: str, content: bytes, says: str) -> None:
    load, settings = LOADERS[name]
    files = LAYOUTS[name]()
    assert file in files  # control: the layout has it
    with pytest.raises(InputFileError, match=says) as caught:
        [part.read() for part in load(MemoryFolder({**files, file: content}), settings)]
    assert file in str(caught.value)


def test_a_missing_counterpart_is_named() -> None:
    files = servers_without("test_label/mine-b.txt")
    with pytest.raises(ConfigError, match=r"mine-b.*test_label/mine-b\.txt"):
        servers.load_smd(MemoryFolder(files), LOADERS["smd"][1])


def servers_without(name: str) -> dict[str, bytes]:
    return {file: content for file, content in LAYOUTS["smd"]().items() if file != name}


def test_a_record_is_judged_once_and_never_trained_on() -> None:
    (task,) = tasks_of("adbench")
    learnt = {tuple(record) for record in task.history.values[:, 0]}
    judged = {tuple(record) for record in task.test.values[:, 0]}
    assert not learnt & judged
    assert (len(learnt), len(judged)) == (60, 80)


def test_no_window_holds_two_sequences() -> None:
    (task, *_) = tasks_of("ecg5000")
    (series,) = task.series
    assert set(np.diff(series.times[::12])) == {13 * 10**9}


def test_two_groups_are_told_apart() -> None:
    assert 2 < two_groups(np.array([1.0, 1.1, 1.2, 1.0, 9.0, 9.1])) < 9


def test_a_few_far_distances_are_no_group_of_their_own() -> None:
    rng = np.random.default_rng(0)
    near, far = rng.uniform(1, 2, 60), rng.uniform(20, 40, 40)
    assert 2 < two_groups(np.concatenate((near, far, [1e6]))) < 20


def test_figures_at_a_cut_by_hand() -> None:
    labels, found = np.array([1, 1, 0, 0, 0]) > 0, np.array([1, 0, 1, 0, 0]) > 0
    assert at_cut(labels, found) == pytest.approx(
        {
            "accuracy": 0.6,
            "precision": 0.5,
            "recall": 0.5,
            "f1": 0.5,
            "far": 1 / 3,
            "mar": 0.5,
        }
    )
    assert "recall" not in at_cut(np.zeros(5, np.bool_), found)


def test_figures_at_another_prevalence_are_those_of_normal_rows_repeated() -> None:
    labels, found = np.array([1, 1, 0, 0, 0]) > 0, np.array([1, 0, 1, 0, 0]) > 0
    often = np.repeat(np.arange(5), [1, 1, 6, 6, 6])
    assert at_cut(labels, found, 0.1) == pytest.approx(at_cut(labels[often], found[often]))


def test_sessions_are_counted_by_the_events_of_training_and_one_column_for_all_others() -> None:
    (task,) = tasks_of("hdfs")
    assert task.test.values.shape == (20, 1, 4)
    assert np.expm1(task.test.values[0, 0]).tolist() == pytest.approx([1, 2, 1, 0])
    assert np.expm1(task.test.values[-1, 0]).tolist() == pytest.approx([1, 2, 0, 1])
    chain = {one.score: one for one in task.others}
    assert chain["largest"].test[-1] > chain["largest"].test[0]
    assert len(chain["mean"].reference) == 12  # a fifth


def test_a_bucket_counts_its_lines_and_those_with_alerts_are_not_learnt_from() -> None:
    (task,) = tasks_of("bgl")
    assert task.is_anomalous.sum() == 2
    assert len(task.history) == 29  # one of thirty has an alert
    lines = np.expm1(task.test.values[:, 0, -1])
    assert sorted(np.rint(lines)) == [0, *[2] * 27, 9, 9]


def test_what_draws_nothing_is_run_once_and_the_rest_for_each_seed() -> None:
    results = results_of("adbench", seeds=2)
    seeds_of = {
        method: {one.row.seed for one in results if one.row.method == method}
        for method in ("PCA Q", "z-score", "isolation forest", MODEL)
    }
    assert seeds_of == {"PCA Q": {0}, "z-score": {0}, "isolation forest": {0, 1}, MODEL: {0, 1}}


def test_under_tsb_ad_m_all_rows_are_judged_after_the_first_ones() -> None:
    (task,) = tasks_of("tsb-ad-m")
    assert task.test.values.shape == (120, 4, 3)
    assert task.is_anomalous.sum() == 15
    (series,) = task.series
    np.testing.assert_array_equal(series.values, task.test.values[:50, -1])
    assert task.vus_buffer == usual_period(task.test.values[:, -1, 0])


def test_a_period_is_that_of_the_highest_peak() -> None:
    rows = np.arange(1000)
    assert usual_period(np.sin(2 * np.pi * rows / 40)) == 40
    assert usual_period(np.zeros(1000)) == 125
    assert usual_period(np.sin(2 * np.pi * rows / 350)) == 125  # longer than the longest
