"""A file that is no configuration is refused with the place where it goes wrong."""

import os
from pathlib import Path

import pytest

from stream_vae.settings.setting_errors import UnreadableError
from stream_vae.settings.yaml_file import YamlSource


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "c.yaml"


def read(file: Path, text: str) -> YamlSource:
    file.write_text(text, encoding="utf-8")
    return YamlSource(file)


def error(file: Path, text: str | None = None) -> str:
    if text is not None:
        file.write_text(text, encoding="utf-8")
    with pytest.raises(UnreadableError) as info:
        YamlSource(file)
    (only,) = info.value.args
    return str(only)


def test_keys_know_their_lines(file: Path) -> None:
    found = read(file, "a: 1\n\nb:\n  # why\n  c: {d: 2}\n")
    assert found() == {"a": 1, "b": {"c": {"d": 2}}}
    lines = {("a",): 1, ("b",): 3, ("b", "c"): 5, ("b", "c", "d"): 5}
    assert {path: found.origin(path) for path in lines} == {
        path: f"{file}:{line}" for path, line in lines.items()
    }


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n"])
def test_a_file_that_says_nothing_is_no_setting_error(file: Path, text: str) -> None:
    assert read(file, text)() == {}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a:\n  b: [1, 2\nc: 3\n", "3:2"),
        ("a: 1\n\tb: 2\n", "2:1"),
        ("a: b: c\n", "1:5"),
        ("a: *missing\n", "1:4"),
        ("a: 1\n---\nb: 2\n", "2:1"),
        ("a: !!python/object/apply:os.getcwd []\n", "1:4"),
        ("? [1, 2]\n: 3\n", "1:3"),
    ],
)
def test_bad_yaml_names_line_and_column(file: Path, text: str, place: str) -> None:
    assert error(file, text).startswith(f"{file}:{place}: not YAML: ")


def test_a_key_given_twice_is_a_setting_error(file: Path) -> None:
    """The YAML library would silently take the second."""
    message = error(file, "kafka:\n  group_id: a\n  start: latest\n  group_id: b\n")
    assert message == f"{file}:4:3: kafka.group_id is given twice, first in line 2"


def test_one_name_in_two_sections_is_no_setting_error(file: Path) -> None:
    """Control for the test above."""
    assert read(file, "a: {device: 1}\nb: {device: 2}\n")() == {
        "a": {"device": 1},
        "b": {"device": 2},
    }


def test_anchors_and_merges_work(file: Path) -> None:
    found = read(file, "a: &x {p: 1}\nb: {<<: *x, q: 2}\n")
    assert found() == {"a": {"p": 1}, "b": {"p": 1, "q": 2}}


def test_an_alias_to_itself_is_a_setting_error(file: Path) -> None:
    assert "refers to itself" in error(file, "a: &x\n  b: *x\n")


def laughs(level: str, deepest: int = 9) -> str:
    """Return levels of which each stands ten times in the next."""
    lines = ["l0: &l0 {a: 1, b: 2}"]
    for i in range(1, deepest):
        entries = ", ".join(level.format(j=j, below=f"*l{i - 1}") for j in range(10))
        lines.append(f"l{i}: &l{i} {{{entries}}}")
    return "\n".join(lines) + "\n"


@pytest.mark.timeout(60)  # without the bounds some take an hour
@pytest.mark.parametrize(
    ("text", "told"),
    [
        (laughs("k{j}: {below}"), "more than 10,000 keys and values, aliases followed"),
        (laughs("k{j}: [{below}, {below}]"), "more than 10,000 keys and values"),
        (laughs("<<: {below}"), "more than 10,000 keys and values"),
        ("".join(f"k{i}: 1\n" for i in range(5_001)), "more than 10,000 keys and values"),
        ("a: [" + "1," * 10_001 + "]", "more than 10,000 keys and values"),
        ("a: " + "x" * 16_385, "a text of 16,385 characters in line 1"),
        ("a: 1" + ":1" * 10_000, "a text of 20,001 characters in line 1"),
        ("a: " + "x" * 70_000, "more than 65,536 bytes"),
        ("a: " + "[" * 30 + "]" * 30, "nested too deeply"),
        ("a: " + "[" * 60_000, "nested too deeply"),
        ("".join("  " * i + "a:\n" for i in range(40)), "nested too deeply"),
        ('a: "\\0"', "an escaped NUL or surrogate in line 1"),
        ('"\\uD800": 1', "an escaped NUL or surrogate in line 1"),
    ],
)
def test_what_no_configuration_needs_is_refused_before_it_costs_time(
    file: Path, text: str, told: str
) -> None:
    assert told in error(file, text)


def test_what_a_configuration_may_need_is_read(file: Path) -> None:
    """Control: thousands of labels, aliases of aliases, a chain of certificates."""
    labels = ", ".join(f"l{i}: x" for i in range(4_000))
    pem = "\n    ".join(["x" * 64] * 200)
    text = f"a: {{{labels}}}\nb: &b [1]\nc: &c [*b, *b]\nd: [*c, *c]\ne: |\n    {pem}\n"
    found = read(file, text)()
    assert len(found["a"]) == 4_000
    assert found["d"] == [[[1], [1]]] * 2


def test_a_file_that_is_not_there_is_a_setting_error(tmp_path: Path) -> None:
    assert error(tmp_path / "none.yaml") == (
        f"{tmp_path / 'none.yaml'}: cannot be read: No such file or directory; expected a YAML file"
    )


def test_a_directory_is_a_setting_error(tmp_path: Path) -> None:
    assert "cannot be read: Is a directory" in error(tmp_path)


def test_a_file_that_is_no_text_is_a_setting_error(file: Path) -> None:
    file.write_bytes(b"a: \xff")
    assert error(file) == f"{file}: byte 3 is not UTF-8, expected a text file"


def test_control_characters_are_a_setting_error(file: Path) -> None:
    assert "not YAML" in error(file, "a: \x00\n")


def test_a_date_that_there_is_not_is_a_setting_error(file: Path) -> None:
    assert error(file, "a: 2026-13-01\n") == f"{file}: not YAML: month must be in 1..12"


@pytest.mark.parametrize("text", ["- 1\n", "hello\n"])
def test_a_file_of_something_else_is_a_setting_error(file: Path, text: str) -> None:
    assert error(file, text) == f"{file}: expected a mapping of settings"


def test_a_pipe_is_a_setting_error(tmp_path: Path) -> None:
    """It is not read: nobody may ever write to it, and the library would pass over it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for endless in (pipe, Path("/dev/zero")):
        assert error(endless) == f"{endless}: is a pipe or a device, expected a file"
