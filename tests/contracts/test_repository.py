"""What a contributor or a user finds beside the source: the licence, the gate, the hooks."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

from tests.limits import slowness
from tests.lowest_versions import constraints

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from a copy of what it is built from, without fetching anything."""
    folder = tmp_path_factory.mktemp("build")
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, folder)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "stream_vae", folder / "stream_vae", ignore=ignored)
    build = "from setuptools import build_meta; print(build_meta.build_wheel('dist'))"
    done = subprocess.run(
        [sys.executable, "-c", build],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100 * slowness(),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return zipfile.ZipFile(next((folder / "dist").glob("*.whl")))


def test_the_wheel_has_the_licence_and_says_so(wheel: zipfile.ZipFile) -> None:
    (info,) = {name.partition("/")[0] for name in wheel.namelist() if ".dist-info/" in name}
    metadata = wheel.read(f"{info}/METADATA").decode()
    (file,) = re.findall(r"^License-File: (.*)$", metadata, re.MULTILINE)
    assert re.findall(r"^License-Expression: (.*)$", metadata, re.MULTILINE) == ["Apache-2.0"]
    for name in (f"{info}/licenses/{file}", "stream_vae/LICENSE"):
        text = wheel.read(name).decode()
        assert "Apache License" in text
        assert "END OF TERMS AND CONDITIONS" in text


def test_the_wheel_has_the_package_alone_with_its_data(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"stream_vae"}, (
        "no tests, no configurations"
    )
    assert {"stream_vae/py.typed", "stream_vae/wire/alert.schema.json"} <= set(names)
    static = {name.rpartition("/")[2] for name in names if "/static/" in name}
    assert {"index.html", "page.js", "uPlot.iife.min.js", "uPlot.LICENSE"} <= static


def test_the_gate_is_the_readmes_test_command() -> None:
    gate = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()[-1]
    assert f"    {gate}\n" in README
    assert gate.endswith(".venv/bin/pytest")


def test_the_workflow_runs_the_gate() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    steps = workflow["jobs"]["everything"]["steps"]
    assert ".ci/run" in [step.get("run") for step in steps]


def test_the_hooks_fetch_nothing_and_find_what_they_look_for(tmp_path: Path) -> None:
    """Each hook that looks for text, on a file that has it and one that has not."""
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert [repository["repo"] for repository in config["repos"]] == ["local"]
    patterns = {
        hook["id"]: hook["entry"]
        for hook in config["repos"][0]["hooks"]
        if hook["language"] == "pygrep"
    }
    wrong = {
        "trailing-whitespace": "a \nb\n",
        "end-of-file": "a\nb",
        "merge-conflict": "a\n<<<<<<< ours\nb\n",
    }
    assert patterns.keys() == wrong.keys()
    for name, text in wrong.items():
        assert re.search(patterns[name], text, re.MULTILINE), name
        assert not re.search(patterns[name], "a\nb = c\n", re.MULTILINE), name


def test_every_dependency_of_the_product_has_a_lower_bound() -> None:
    """Without, the run with the oldest versions would take any."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = [constraint.partition("==")[0] for constraint in constraints(project["dependencies"])]
    assert len(names) == len(project["dependencies"])
