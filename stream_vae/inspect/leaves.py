"""The fields of JSON documents, and what stands in them."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from stream_vae.inputs.cell_values import CellFormat, CellReader

MOST_FIELDS = 5000
_MOST_VALUES = 2000


@dataclass(slots=True)
class Leaf:
    """One field of the sample."""

    name: str
    """Its path."""
    n: int = 0
    """Documents that have it, not null."""
    kinds: Counter[str] = field(default_factory=Counter)
    rows: list[int] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    """The first ones, each of the row at the same place."""

    @property
    def last_name(self) -> str:
        """The last part of its path."""
        return self.name.rpartition(".")[2]

    @property
    def n_distinct(self) -> int:
        """How many different plain values stand there."""
        return len({repr(value) for value in self.values})

    def share(self, is_fitting: Callable[[Any], bool]) -> float:
        """Return the share of the values that fit."""
        return sum(map(is_fitting, self.values)) / max(len(self.values), 1)

    def add(self, row: int, value: object) -> None:
        """Add what a document holds there."""
        if value is None:
            return
        self.n += 1
        self.kinds[_kind(value)] += 1
        if len(self.values) < _MOST_VALUES:
            self.rows.append(row)
            self.values.append(value)


def leaves_of(documents: Iterable[tuple[int, Any]], prefix: str = "") -> dict[str, Leaf]:
    """Return path -> field of documents, in the order in which they come.

    Args:
        documents: Row and document of each.
        prefix: Before each path.
    """
    found: dict[str, Leaf] = {}
    for row, document in documents:
        for path, value in iterate(document):
            name = prefix + path
            leaf = found.get(name)
            if leaf is None:
                if len(found) >= MOST_FIELDS:
                    continue
                leaf = found[name] = Leaf(name)
            leaf.add(row, value)
    return found


def iterate(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield path and value of all that is no object."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name and not ("." in name and isinstance(value, dict)):
                yield from iterate(value, f"{path}.{name}" if path else name)
    elif path:
        yield path, node


def at_path(document: Any, path: str) -> Any:
    """Return what stands at a path, or None."""
    found = document
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    if found is None and isinstance(document, dict):
        return document.get(path)
    return found


def is_number(reader: CellReader) -> Callable[[Any], bool]:
    """Return a test of whether a value is a number or a truth, or text that is read as one."""

    def test(value: Any) -> bool:
        if isinstance(value, str):
            return not reader.is_missing(value) and reader.number(value) is not None
        return isinstance(value, int | float)

    return test


def is_missing_or_number(reader: CellReader) -> Callable[[Any], bool]:
    """Return a test of whether a value is read as a number, a truth, or missing."""
    is_one = is_number(reader)
    return lambda value: is_one(value) or (isinstance(value, str) and reader.is_missing(value))


_CELL_FORMATS: tuple[dict[str, Any], ...] = (
    {},
    {"units": True},
    {"decimal": ","},
    {"decimal": ",", "units": True},
)


def cell_settings(leaves: Sequence[Leaf]) -> dict[str, Any]:
    """Return the settings of numbers as text under which most fields are numbers."""
    texts = [leaf for leaf in leaves if leaf.kinds["text"]]

    def n_numbers(settings: dict[str, Any]) -> int:
        test = is_number(CellReader(CellFormat(**settings)))
        return sum(leaf.share(test) > 0.5 for leaf in texts)

    best = _CELL_FORMATS[0]
    for settings in _CELL_FORMATS[1:]:
        if n_numbers(settings) > n_numbers(best):
            best = settings
    return dict(best)


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "text"
    return "array" if isinstance(value, list) else "object"
