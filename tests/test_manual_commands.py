"""Each command of ours in manual and help is one that the program takes, as it stands there."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from stream_vae.cli import COMMANDS, build_app

ROOT = Path(__file__).parents[1]
PLACES = [
    ROOT / "README.md",
    ROOT / "deploy" / "monitoring" / "runbooks.md",
    *sorted((ROOT / "configs").rglob("*.yaml")),
]
_ENDS = {"|", ">", "&&"}
"""Where the shell takes over."""


def commands_in(text: str) -> list[list[str]]:
    """Return the arguments of each `stream-vae …`: in backticks, or on a line of its own."""
    in_words = re.findall(r"`stream-vae ([^`]+)`", text)
    lines = re.sub(r"`[^`\n]*`", "", text).replace("\\\n", " ")
    alone = re.findall(r"^(?:#|\w+:| |[A-Z_]+=\S+)*stream-vae (.+)$", lines, re.MULTILINE)
    return [arguments_of(one) for one in (*in_words, *alone)]


def arguments_of(command: str) -> list[str]:
    words = shlex.split(command, comments=True)
    end = next((i for i, word in enumerate(words) if word in _ENDS), len(words))
    return words[:end]


def parse(arguments: list[str]) -> tuple[str, dict[str, Any]]:
    """Return the command that is named, and its parameters.

    Raises:
        UsageError: If the program does not take it.
    """
    command: Any = get_command(build_app())
    context, path = command.make_context("stream-vae", list(arguments)), []
    while hasattr(command, "resolve_command") and (rest := context._protected_args + context.args):
        name, command, rest = command.resolve_command(context, rest)
        context = command.make_context(name, rest, parent=context)
        path.append(name)
    return " ".join(path), context.params


def helps() -> Iterator[tuple[str, str]]:
    """Yield each command, and those below it, with its help."""
    program: Any = get_command(build_app())
    for name in COMMANDS:
        context = program.make_context("stream-vae", [name], resilient_parsing=True)
        _, command, _ = program.resolve_command(context, [name])
        yield name, command.help or ""
        for below, one in getattr(command, "commands", {}).items():
            yield f"{name} {below}", one.help or ""


TEXTS = {
    **{path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in PLACES},
    **{
        f"{name} --help": re.sub(r"(?<=\S)\n(?=\S)", " ", text)  # an example goes on in a next line
        for name, text in helps()
    },
}
FOUND = sorted(
    {
        (place, shlex.join(arguments))
        for place, text in TEXTS.items()
        for arguments in commands_in(text)
        if len(arguments) > 1  # a name alone is a word for the command
    }
)
IN_RUNBOOKS = [command for place, command in FOUND if place.endswith("runbooks.md")]


@pytest.mark.parametrize(("place", "command"), FOUND)
def test_the_program_takes_each_command_as_it_stands(place: str, command: str) -> None:
    assert "…" not in command, f"{place}: it cannot be pasted"
    parse(shlex.split(command))


@pytest.mark.parametrize("command", IN_RUNBOOKS)
def test_commands_of_a_runbook_read_the_settings_and_do_what_they_are_for(command: str) -> None:
    """Without settings they would look at a broker of this machine, and move nothing."""
    _, parameters = parse(shlex.split(command))
    assert parameters.get("config", "has none") is not None
    assert parameters.get("execute", True)


def test_a_command_that_the_program_does_not_take_would_be_noticed() -> None:
    """Control, also of what counts as a command."""
    text = "`stream-vae redrive --resaon x` and\n    X=1 stream-vae size --series  # why\n"
    assert commands_in(text) == [["redrive", "--resaon", "x"], ["size", "--series"]]
    for wrong in ("redrive --resaon x", "size --series", "model compare A B", "alerts shcema"):
        with pytest.raises(Exception, match=r"No such|requires|Missing"):
            parse(wrong.split())
    assert {"redrive", "score", "model compare"} <= {parse(shlex.split(c))[0] for c in IN_RUNBOOKS}
    assert {place for place, _ in FOUND} >= {"README.md", "demo --help", "alerts --help"}
