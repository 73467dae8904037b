"""Names from data that look like markup, an emoji or a terminal's control sequence are shown."""

import ast
from pathlib import Path

import pytest
from rich.progress import Progress
from rich.table import Table

from stream_vae.commands.jobs.terminal import TaskText, open_console, styled, warn

COMMANDS = Path(__file__).parents[2] / "stream_vae" / "commands"
NAME = "[red]p[/red] [bar] [/s] :bell: \x1b[31m"
SHOWN = r"[red]p[/red] [bar] [/s] :bell: \x1b[31m"


def test_every_way_to_print_shows_text_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    console = open_console(width=200)
    table = Table(NAME, title=NAME, caption=NAME)
    table.add_row(NAME)
    table.add_column(styled(NAME), footer=NAME)
    table.show_footer = True
    console.print(table)
    console.print(NAME, styled("a ", (NAME, "bold")))
    console.rule(NAME)
    warn(console, NAME)
    with Progress(TaskText(), TaskText("{task.fields[file]}"), console=console) as bar:
        bar.add_task(NAME, file=NAME)
    printed = capsys.readouterr().out
    assert printed.count(SHOWN) == 12
    assert "\x1b" not in printed
    assert "warning: [red]" in printed


def test_commands_print_with_that_console_alone() -> None:
    """What could read markup is named in one module, which is also the control."""
    naming = {
        module.stem
        for module in COMMANDS.rglob("*.py")
        if any(map(_can_read_markup, ast.walk(ast.parse(module.read_text(encoding="utf-8")))))
    }
    assert naming == {"terminal"}


def _can_read_markup(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Name(id="Console") | ast.Attribute(attr="Console" | "from_markup")):
            return True
        case ast.ImportFrom(module="rich" | "rich.markup") | ast.Import(names=[ast.alias("rich")]):
            return True
        case ast.Name(id="TextColumn") | ast.Attribute(attr="TextColumn"):
            return True
    return False
