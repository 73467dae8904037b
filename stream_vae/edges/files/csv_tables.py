"""Tables of a CSV file: one, or the several of InfluxDB's annotated form.

In that form lines that begin with `#group`, `#datatype` and `#default` stand above a header, a
blank line below the last row, and a further table may follow. Query results without annotations
have the same columns and blank lines.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stream_vae.errors import InputFileError

Row = tuple[int, list[str]]

_ANNOTATIONS = ("#group", "#datatype", "#default")
_QUERY_COLUMNS = {"result", "table"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table of a file."""

    line: int
    """Of the header."""
    header: list[str]
    rows: Iterator[Row]
    """Must be used up before the next table."""
    is_annotated: bool = False
    """Whether the columns are those of InfluxDB."""
    groups: tuple[str, ...] = ()
    """Columns by which an annotated table is grouped."""


def read_tables(path: Path, rows: Iterator[Row]) -> Iterator[Table]:
    """Yield the tables of a file.

    Args:
        path: For messages.
        rows: Of the file, from its first line.

    Raises:
        InputFileError: If there is no header.
    """
    first = next((row for row in rows if row[1]), None)
    if first is None:
        raise InputFileError(f"{path}: empty; expected a header and readings")
    if not (_is_annotation(first[1]) or {cell.strip() for cell in first[1]} >= _QUERY_COLUMNS):
        yield Table(line=first[0], header=first[1], rows=rows)
        return
    ahead: list[Row] = [first]
    while ahead:
        table = _annotated_table(path, ahead, rows)
        if table is None:
            return
        yield table
        for _ in table.rows:
            pass


def _annotated_table(path: Path, ahead: list[Row], rows: Iterator[Row]) -> Table | None:
    """Return the next table, or None at the end.

    Args:
        path: For messages.
        ahead: The row that was read last; the row after the table is left here.
        rows: The others.
    """
    annotations: dict[str, list[str]] = {}
    row: Row | None = ahead.pop()
    while row is not None and (not row[1] or _is_annotation(row[1])):
        if row[1]:
            annotations[row[1][0].lower()] = row[1]
        row = next(rows, None)
    if row is None:
        return None
    line, header = row
    if "error" in header and "reference" in header:
        found = next(rows, (line, [""]))[1]
        raise InputFileError(f"{path}, line {line}: holds the error of a query: {found}")
    group = annotations.get("#group", [])
    return Table(
        line=line,
        header=header,
        rows=_rows_of_table(ahead, rows, _defaults(annotations.get("#default", []), header)),
        is_annotated=True,
        groups=tuple(
            name for name, flag in zip(header, group, strict=False) if flag.lower() == "true"
        ),
    )


def _defaults(row: list[str], header: list[str]) -> dict[int, str]:
    """Return position -> what an empty cell there means."""
    return {
        at: default
        for at, default in enumerate(row[: len(header)])
        if default and not default.startswith("#")
    }


def _rows_of_table(
    ahead: list[Row], rows: Iterator[Row], defaults: dict[int, str]
) -> Iterator[Row]:
    for line, cells in rows:
        if not cells or _is_annotation(cells):
            ahead.append((line, cells))
            return
        for at, default in defaults.items():
            if at < len(cells) and not cells[at]:
                cells[at] = default
        yield line, cells


def _is_annotation(cells: list[str]) -> bool:
    return bool(cells) and cells[0].lower() in _ANNOTATIONS
