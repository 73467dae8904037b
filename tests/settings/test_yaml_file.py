"""A file that is no configuration is refused with the place where it goes wrong."""

from pathlib import Path

import pytest

from stream_vae.settings.yaml_file import YamlFile, read_yaml


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "c.yaml"


def read(file: Path, text: str) -> YamlFile:
    file.write_text(text, encoding="utf-8")
    return read_yaml(file)


def fault(file: Path, text: str) -> str:
    faults = read(file, text).faults
    assert len(faults) == 1
    return str(faults[0])


def test_keys_know_their_lines(file: Path) -> None:
    found = read(file, "a: 1\n\nb:\n  # why\n  c: {d: 2}\n")
    assert found.content == {"a": 1, "b": {"c": {"d": 2}}}
    assert found.lines == {("a",): 1, ("b",): 3, ("b", "c"): 5, ("b", "c", "d"): 5}
    assert found.faults == []


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n"])
def test_a_file_that_says_nothing_is_no_fault(file: Path, text: str) -> None:
    found = read(file, text)
    assert (found.content, found.faults) == (None, [])


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
    assert fault(file, text).startswith(f"{file}:{place}: not YAML: ")


def test_a_key_given_twice_is_a_fault(file: Path) -> None:
    """The YAML library would silently take the second."""
    message = fault(file, "kafka:\n  group_id: a\n  start: latest\n  group_id: b\n")
    assert message == f"{file}:4:3: kafka.group_id is given twice, first in line 2"


def test_one_name_in_two_sections_is_no_fault(file: Path) -> None:
    """Control for the test above."""
    assert read(file, "a: {device: 1}\nb: {device: 2}\n").faults == []


def test_anchors_and_merges_work(file: Path) -> None:
    found = read(file, "a: &x {p: 1}\nb: {<<: *x, q: 2}\n")
    assert found.content == {"a": {"p": 1}, "b": {"p": 1, "q": 2}}
    assert found.faults == []


def test_an_alias_to_itself_is_a_fault(file: Path) -> None:
    assert "refers to itself" in fault(file, "a: &x\n  b: *x\n")


def test_a_file_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    found = read_yaml(tmp_path / "none.yaml")
    assert str(found.faults[0]) == (
        f"{tmp_path / 'none.yaml'}: cannot be read: No such file or directory; expected a YAML file"
    )


def test_a_directory_is_a_fault(tmp_path: Path) -> None:
    assert "cannot be read: Is a directory" in str(read_yaml(tmp_path).faults[0])


def test_a_file_that_is_no_text_is_a_fault(file: Path) -> None:
    file.write_bytes(b"a: \xff")
    assert str(read_yaml(file).faults[0]) == (f"{file}: byte 3 is not UTF-8, expected a text file")


def test_control_characters_are_a_fault(file: Path) -> None:
    assert "not YAML" in fault(file, "a: \x00\n")
