"""Which suite a test belongs to, how many examples hypothesis tries, and on how many workers.

No test is marked `fast` by hand: one that needs a broker says so by its fixtures, or by the mark
`system` where it starts a broker of its own, and every other one is fast unless marked `slow`.
"""

import gc
import os
import warnings
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.limits import slowness

BROKER_FIXTURES = {"kafka", "own_kafka", "far_kafka", "secure_kafka"}

_TIMEOUT_S = {"fast": 120.0, "slow": 600.0, "system": 600.0}
_EXAMPLES = {"fast": 10, "ci": 25, "thorough": 2000}
_WORKERS = 3
_IN_GROUPS = "stream_vae_in_groups"
_LIBRARIES = (
    ("torch",),
    ("scipy.stats", "sklearn.ensemble", "sklearn.svm", "river.drift", "starlette.applications"),
    ("matplotlib.pyplot", "stream_vae.settings", "confluent_kafka", "rich.progress", "yaml"),
)
"""What takes longest to compile, in shares of a like length: one for each worker."""

# A deadline for an example, or for finding one, says more of the machine than of the program.
# The fixtures that examples share are factories here, none of which remembers an example.
_HYPOTHESIS = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    print_blob=True,
)


def pytest_configure(config: pytest.Config) -> None:
    """Choose hypothesis' profile: HYPOTHESIS_PROFILE, or by the suite that is run.

    Collect garbage less often: as usual it takes a sixth of the fast suite's time.
    """
    gc.set_threshold(100_000, 50, 100)
    for name, n in _EXAMPLES.items():
        settings.register_profile(name, parent=_HYPOTHESIS, max_examples=n)
    usual = "fast" if config.option.markexpr == "fast" else "ci"
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or usual)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Let whole suites run on three workers; what is named is run in this process, to be watched.

    Much of the time of system tests is waiting, so that three fill two cores. `-n` says
    otherwise, as do `--pdb`, `-s`, `-k` and `--cov`.
    """
    option = config.option
    is_worker = hasattr(config, "workerinput")
    if is_worker or getattr(option, "numprocesses", 0) is not None:  # 0: there is no xdist here
        return
    is_whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    is_watched = option.usepdb or option.collectonly or option.capture == "no" or option.keyword
    # pytest-cov has settled on one process or many by now.
    is_measured = getattr(option, "cov_source", None)
    if is_whole and not is_watched and not is_measured:
        option.numprocesses, option.dist = _WORKERS, "loadgroup"
        option.loadscopereorder = False  # the long ones come first, not the groups of many tests
        option.maxworkerrestart = "0"  # xdist 3.8 waits for ever for one that replaces a dead one


def pytest_sessionstart(session: pytest.Session) -> None:
    """Import a share of what all workers will, so that each module is compiled by one of them.

    After a fresh checkout nothing is compiled, tests' assertions least of all. Workers collect at
    the same time and in the same order: they would all compile the same, and only keep it for the
    next run.
    """
    worker = getattr(session.config, "workerinput", None)
    if worker is None or not worker.get(_IN_GROUPS):
        return
    number, n_workers = int(worker["workerid"].removeprefix("gw")), worker["workercount"]
    root = session.config.rootpath
    paths = sorted(root.glob("tests/**/test_*.py"))[number::n_workers]
    names = [".".join(path.relative_to(root).with_suffix("").parts) for path in paths]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # as while tests are collected
        for name in (*_LIBRARIES[number % len(_LIBRARIES)], *names):
            with suppress(Exception, pytest.skip.Exception):  # who collects it tells what is wrong
                import_module(name)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker to name the groups: it knows what stands on the command line alone."""
    node.workerinput[_IN_GROUPS] = node.config.option.dist == "loadgroup"


def pytest_collection_finish() -> None:
    """Look for no garbage among what was imported."""
    gc.collect()
    gc.freeze()


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Import no module for doctests that has none: some take a second."""
    if collection_path.suffix != ".py" or collection_path.name.startswith(("test_", "conftest")):
        return None
    return None if ">>> " in collection_path.read_text(encoding="utf-8") else True


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark a test with its suite, and with what follows from that."""
    suite = suite_of([mark.name for mark in item.iter_markers()], _fixtures(item))
    item.add_marker(suite)
    own = item.get_closest_marker("timeout")
    seconds = _TIMEOUT_S[suite] if own is None else own.args[0]
    item.add_marker(pytest.mark.timeout(seconds * slowness()), append=False)
    group = _group(item, suite)
    if group is not None and item.get_closest_marker("xdist_group") is None:
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.hookimpl(trylast=True)  # after the order has been shuffled
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the long ones, so that no worker has them alone at the end."""
    order = {"slow": 0, "system": 1, "fast": 2}
    items.sort(key=lambda item: min(order.get(mark.name, 2) for mark in item.iter_markers()))
    if getattr(config, "workerinput", {}).get(_IN_GROUPS):
        for item in items:
            _tell_group(item)


def suite_of(marks: Sequence[str], fixtures: Sequence[str]) -> str:
    """Return the suite of a test with these marks and fixtures.

    >>> suite_of([], ["kafka", "tmp_path"]), suite_of(["slow", "system"], [])
    ('system', 'system')
    >>> suite_of(["parametrize"], ["tmp_path"]), suite_of(["slow"], [])
    ('fast', 'slow')
    """
    if "system" in marks or not BROKER_FIXTURES.isdisjoint(fixtures):
        return "system"
    return "slow" if "slow" in marks else "fast"


def fewer_examples(by: int) -> settings:
    """Return settings for slow examples: so many times fewer than the profile asks for."""
    return settings(max_examples=max(settings().max_examples // by, 2))


def _fixtures(item: pytest.Item) -> Sequence[str]:
    return getattr(item, "fixturenames", ())


def _group(item: pytest.Item, suite: str) -> str | None:
    """Return what keeps tests on one worker: a broker started once, or fixtures that they share."""
    if "secure_kafka" in _fixtures(item):
        return "secure broker"
    return item.nodeid.partition("::")[0] if suite != "system" and _shares(item) else None


def _tell_group(item: pytest.Item) -> None:
    """Add the group to the test's id, where the scheduler looks for it.

    xdist 3.8 does this itself where `--dist` is on the command line, but by an attribute that
    pytest has no longer from 9.2 on.
    """
    mark = item.get_closest_marker("xdist_group")
    if mark is None:
        return
    suffix = f"@{mark.args[0]}"
    if not item.nodeid.endswith(suffix):
        item._id = type(item.id).parse(item.nodeid + suffix)
    assert item.nodeid.endswith(suffix), "tests that share fixtures would not share a worker"


def _shares(item: pytest.Item) -> bool:
    """Tell whether a test uses a fixture of ours that others of its file use too."""
    info = getattr(item, "_fixtureinfo", None)
    found = info.name2fixturedefs.values() if info is not None else ()
    return any(each[-1].scope != "function" and each[-1].baseid for each in found)
