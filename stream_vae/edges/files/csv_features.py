"""Columns of features by their kind: declared, known from a model, or found in the cells."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.excerpts import excerpt
from stream_vae.core.model_spec import Feature, FeatureKind
from stream_vae.edges.files.csv_cells import (
    ParsedColumn,
    Place,
    parse_counts,
    parse_truths,
    parse_values,
    refuse_units,
    remedy_in_words,
)
from stream_vae.inputs.categories import MAX_CATEGORY_CHARACTERS, CategoryCodes, category_text
from stream_vae.inputs.cell_values import TRUE_AND_FALSE, TRUTH_WORDS, CellReader


class FeatureColumn:
    """Reads the cells of one feature, over all chunks and files.

    A feature whose kind is not declared is categorical if most of the cells of the first chunk that
    has any are no numbers; a few texts among numbers are mistakes in a column of numbers. Where
    true and false (or both of two such words) are all that such a column says, it is binary.

    Args:
        name: Of the feature.
        declared: Kind, and categories if a model has them; None to find the kind.
        max_categories: Most that may be found.
        reader: Of numbers.
    """

    def __init__(
        self, name: str, declared: Feature | None, max_categories: int, reader: CellReader
    ) -> None:
        self._name = name
        self._declared = declared
        self._kind = None if declared is None else declared.kind
        self._max_categories = max_categories
        self._reader = reader
        self._unit: str | None = None
        self._known = None
        if declared is not None and declared.categories:
            self._known = CategoryCodes(declared.categories)
        self._found: dict[str, int] = {}  # in order of appearance

    def read(self, path: Path, lines: NDArray[np.int64], cells: Sequence[str]) -> ParsedColumn:
        """Return the values of a chunk; codes of found categories are in order of appearance.

        Raises:
            InputFileError: At the first cell that does not fit the kind.
        """
        place = Place(path=path, lines=lines, column=self._name)
        if self._kind is None:
            self._kind = self._kind_of(place, cells)
        match self._kind:
            case "categorical":
                return self._codes(place, cells)
            case "count":
                parsed = parse_counts(place, cells, self._reader)
            case "binary":
                return parse_truths(place, cells, self._reader)
            case _:
                advice = "; kind categorical takes every cell of a column as text"
                parsed = parse_values(place, cells, self._reader, advice)
        if parsed.units and self._unit not in (None, *parsed.units):
            refuse_units(place, [str(self._unit), *parsed.units], [0, 0])
        self._unit = self._unit or next(iter(parsed.units), None)
        return parsed

    def finish(self, values: NDArray[np.float64]) -> Feature:
        """Return the feature, and order the codes of found categories by their text, in place.

        Args:
            values: (N,) all that was read.
        """
        feature = self._declared or Feature(name=self._name)
        if self._kind != "categorical" or self._known is not None:
            return replace(feature, kind=self._kind or "numeric")
        categories = tuple(sorted(self._found))
        is_binary = self._declared is None and _are_truths(categories)
        code_of = (
            {text: TRUTH_WORDS[text.lower()] for text in categories}
            if is_binary
            else {text: float(code) for code, text in enumerate(categories)}
        )
        new_codes = np.array([code_of[text] for text in self._found], dtype=np.float64)
        observed = ~np.isnan(values)
        values[observed] = new_codes[values[observed].astype(np.int64)]
        if is_binary:
            return replace(feature, kind="binary")
        return replace(feature, kind="categorical", categories=categories)

    def _kind_of(self, place: Place, cells: Sequence[str]) -> FeatureKind | None:
        """Return the kind of a column by its first chunk; None while all its cells are missing.

        Raises:
            InputFileError: If the text of most cells is numbers of another form.
        """
        texts = Counter(cells)
        found = [(text, n) for text, n in texts.items() if not self._reader.is_missing(text)]
        if not found:
            return None
        texts = Counter({text: n for text, n in found if _is_text(text, self._reader)})
        if 2 * texts.total() <= sum(n for _, n in found):
            return "numeric"
        numbers = [
            text
            for text in texts
            if self._reader.number(text) is None and self._reader.remedy(text) != "missing_words"
        ]
        if 2 * sum(texts[text] for text in numbers) > texts.total():
            raise place.error(
                cells.index(numbers[0]),
                f"found {excerpt(numbers[0])}, which looks like a number of another form: "
                f"{remedy_in_words(self._reader, numbers[0])} (as text: kind categorical, --kind)",
            )
        return "categorical"

    def _codes(self, place: Place, cells: Sequence[str]) -> ParsedColumn:
        texts = [category_text(cell) or None for cell in cells]
        if self._known is not None:
            values = self._known.encode(texts)
        else:
            self._learn(place, texts)
            values = np.array([float("nan") if t is None else self._found[t] for t in texts])
        return ParsedColumn(values=values, n_missing=texts.count(None), n_infinite=0)

    def _learn(self, place: Place, texts: Sequence[str | None]) -> None:
        for text in dict.fromkeys(texts):
            if text is None or text in self._found:
                continue
            self._found[text] = len(self._found)
            expected = None
            if len(text) > MAX_CATEGORY_CHARACTERS:
                expected = f"categories of at most {MAX_CATEGORY_CHARACTERS} characters"
            elif len(self._found) > self._max_categories:
                expected = f"at most {self._max_categories} (training.max_categories)"
            if expected is not None:
                raise place.error(
                    texts.index(text),
                    f"found {excerpt(text)}, the {len(self._found)}. category; expected "
                    f"{expected}: leave the column out (--ignore), or hash its text into fewer "
                    "values",
                )


def _is_text(cell: str, reader: CellReader) -> bool:
    """Return whether a cell speaks for a column of text; `true` does, though it is a number."""
    return cell.strip().lower() in TRUTH_WORDS or reader.number(cell) is None


def _are_truths(categories: Sequence[str]) -> bool:
    """Return whether the texts of a column are those of a feature with two values.

    True and false are even if one of them never occurs; of other words both must.
    """
    words = {text.lower() for text in categories}
    if words <= set(TRUE_AND_FALSE):
        return True
    return words <= set(TRUTH_WORDS) and {TRUTH_WORDS[word] for word in words} == {0.0, 1.0}


def propose_kind(columns: Iterable[NDArray[np.float64]]) -> FeatureKind:
    """Return the kind that numbers look like.

    Binary: 0 and 1 alone, both of them. Count: whole numbers of 0 or more, at least three
    different ones, half of them below 100 (larger ones are described as well by a numeric
    feature), that fall somewhere (a running total only rises).

    Args:
        columns: Values of one feature in each series, in order of time; NaN = not observed.

    >>> propose_kind([np.array([0.0, 1.0, 1.0])]), propose_kind([np.array([3.0, 0.0, 7.0])])
    ('binary', 'count')
    >>> propose_kind([np.array([3.0, 4.0, 7.0])]), propose_kind([np.array([0.5, 1.0])])
    ('numeric', 'numeric')
    """
    observed = [column[~np.isnan(column)] for column in columns]
    values = np.concatenate([*observed, np.empty(0)])
    different = np.unique(values)
    if different.tolist() == [0.0, 1.0]:
        return "binary"
    is_whole = len(different) > 2 and different[0] >= 0 and bool(np.all(different % 1 == 0))
    falls = any(bool((np.diff(column) < 0).any()) for column in observed)
    return "count" if is_whole and falls and np.median(values) < 100 else "numeric"
