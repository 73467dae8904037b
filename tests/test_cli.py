"""The program's help costs no more than it needs, and says what the commands say."""

import subprocess
import sys
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
    """Return a case for the whole run alone: each starts an interpreter of its own."""
    return pytest.param(*values, marks=pytest.mark.slow)


def loaded_by(*arguments: str) -> set[str]:
    """Return which of the heavy packages the program has imported at its end."""
    program = (
        "import sys\nfrom stream_vae.cli import main\ntry:\n    main()\n"
        "finally:\n    print('loaded:', *sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "Usage:" in done.stdout or "settings can be used" in done.stdout
    return HEAVY & set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "words",
    [(), *map(slow, [*((name,) for name in COMMANDS), *GROUPED])],
    ids=" ".join,
)
def test_help_imports_nothing_heavy(words: tuple[str, ...]) -> None:
    assert loaded_by(*words, "--help") == set()


def test_checking_a_configuration_loads_no_model() -> None:
    """Control: it does import what reads settings."""
    loaded = loaded_by("config", "check")
    assert "pydantic_settings" in loaded
    assert not loaded & {"torch", "river", "matplotlib"}


@pytest.mark.parametrize(
    ("module", "unused"),
    [
        slow("daemon.start", {"river", "matplotlib", "sklearn", "scipy"}),
        slow("commands.jobs.score", {"river", "matplotlib", "sklearn", "scipy"}),
        slow("commands.jobs.backtest", {"river", "matplotlib", "sklearn", "confluent_kafka"}),
        slow("commands.jobs.train", {"river", "matplotlib", "sklearn", "scipy", "confluent_kafka"}),
        ("commands.jobs.alerts", {"torch", "river", "matplotlib"}),
        slow("commands.jobs.feed", {"torch", "river", "matplotlib"}),
        slow("commands.jobs.redrive", {"torch", "river", "matplotlib"}),
    ],
)
def test_a_command_imports_nothing_that_it_does_not_use(module: str, unused: set[str]) -> None:
    program = f"import sys, stream_vae.{module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True
    )
    assert unused & set(done.stdout.split()) == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_each_says_of_itself(name: str) -> None:
    module: Any = import_module(f"stream_vae.commands.{name}")
    if isinstance(getattr(module, "app", None), typer.Typer):
        assert module.app.info.help == COMMANDS[name]
    else:
        assert getattr(module, name).__doc__.splitlines()[0] == COMMANDS[name]
