"""The program's help costs no more than it needs, and says what the commands say."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import pytest
import typer
from _pytest.mark import ParameterSet

from stream_vae.cli import COMMANDS

HEAVY = {
    *("torch", "river", "matplotlib", "confluent_kafka", "sklearn", "scipy", "numpy"),
    *("pydantic_settings", "msgspec", "starlette"),
}
GROUPED = [
    *(("model", name) for name in ("show", "compare")),
    *(("config", name) for name in ("check", "show", "schema", "table")),
]


def slow(*values: object) -> ParameterSet:
    """Return a case for the whole run alone: it takes seconds to import torch."""
    return pytest.param(*values, marks=pytest.mark.slow)


_FORKS = """
import importlib, json, os, sys, traceback
first, runs = json.loads(sys.argv[1])
for module in first:
    importlib.import_module(module)
for run in runs:
    sys.stdout.flush()
    if os.fork() == 0:
        code = 1
        try:
            if isinstance(run, str):
                importlib.import_module(run)
            else:
                from stream_vae.cli import main
                sys.argv = ["stream-vae", *run]
                main()
            code = 0
        except SystemExit as exc:
            code = exc.code or 0
        except BaseException:
            traceback.print_exc()
        print("loaded:", *sys.modules, flush=True)
        os._exit(code)
    assert os.wait()[1] == 0, run
"""


def loaded_by(
    first: Sequence[str], runs: Sequence[str | Sequence[str]]
) -> list[tuple[str, set[str]]]:
    """Return what each run tells, and the packages and modules imported at its end.

    Each is forked from one interpreter, which costs a tenth of a start.

    Args:
        first: Modules that the interpreter imports before it forks.
        runs: A module that is imported, or the arguments of the program.
    """
    done = subprocess.run(
        [sys.executable, "-c", _FORKS, json.dumps([first, runs])],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = re.findall(r"(.*?)^loaded: (.*?)$", done.stdout, re.DOTALL | re.MULTILINE)
    assert len(told) == len(runs)
    return [(text, set(modules.split())) for text, modules in told]


def test_help_imports_nothing_heavy() -> None:
    words = [(), *((name,) for name in COMMANDS), *GROUPED]
    found = loaded_by(["stream_vae.cli"], [(*each, "--help") for each in words])
    assert all("Usage:" in text for text, _ in found)
    pairs = zip(words, found, strict=True)
    heavy = {" ".join(each): HEAVY & of for each, (_, of) in pairs if HEAVY & of}
    assert heavy == {}


def test_checking_a_configuration_loads_no_model() -> None:
    """Control: it does import what reads settings."""
    ((text, loaded),) = loaded_by([], [("config", "check")])
    assert "settings can be used" in text
    assert "pydantic_settings" in loaded
    assert not loaded & {"torch", "river", "matplotlib"}


@pytest.mark.parametrize(
    ("first", "unused"),
    [
        slow(
            "torch",
            {
                "daemon.start": {"river", "matplotlib", "sklearn", "scipy"},
                "commands.jobs.score": {"river", "matplotlib", "sklearn", "scipy"},
                "commands.jobs.backtest": {"river", "matplotlib", "sklearn", "confluent_kafka"},
                "commands.jobs.train": {
                    *("river", "matplotlib", "sklearn", "scipy", "confluent_kafka"),
                },
            },
        ),
        (
            "numpy",
            {
                f"commands.jobs.{name}": {"torch", "river", "matplotlib"}
                for name in ("alerts", "feed", "redrive")
            },
        ),
    ],
    ids=["of a model", "of none"],
)
def test_a_command_imports_nothing_that_it_does_not_use(
    first: str, unused: dict[str, set[str]]
) -> None:
    """Beyond what its interpreter has imported `first`, which none of them is to do without."""
    found = loaded_by([first], [f"stream_vae.{name}" for name in unused])
    for (name, never), (_, loaded) in zip(unused.items(), found, strict=True):
        assert f"stream_vae.{name}" in loaded
        assert never & loaded == set(), name


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_each_says_of_itself(name: str) -> None:
    module: Any = import_module(f"stream_vae.commands.{name}")
    if isinstance(getattr(module, "app", None), typer.Typer):
        assert module.app.info.help.splitlines()[0] == COMMANDS[name]
    else:
        assert getattr(module, name).__doc__.splitlines()[0] == COMMANDS[name]
