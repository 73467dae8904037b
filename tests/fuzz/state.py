"""Every number a pipeline remembers, whatever remembers it."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

import numpy as np

from stream_vae.pipeline.pipeline import Pipeline


def unsound_numbers(pipeline: Pipeline) -> list[str]:
    """Return where a number in the state of a known series is infinite or, unlawfully, NaN."""
    index = pipeline.store.index
    # NaN means "not observed" in the steps of a series, those before the newest among them, and in
    # what rules remember of its features.
    windows, rules = pipeline.store.windows, pipeline.store.rules
    ruled = () if rules is None else rules.state._arrays.values()
    steps = (windows.state["values"], windows._earlier, *ruled)
    rows = index.used()
    faults = []
    for path, number in _numbers(pipeline, ""):
        # Rows of tables that belong to no series hold whatever was there.
        of_series = number.ndim > 0 and len(number) == index.capacity
        known = number[rows] if of_series else number
        is_step = any(number is each or np.shares_memory(number, each) for each in steps)
        bad = np.isinf(known) if is_step else ~np.isfinite(known)
        if bad.any():
            faults.append(f"{path}: {np.asarray(known)[bad][:3]}")
    return faults


def _numbers(value: Any, path: str) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    if isinstance(value, np.ndarray | np.floating | float):
        array = np.asarray(value)
        if array.dtype.kind == "f":
            yield path, array
    for name, part in _parts(value):
        yield from _numbers(part, path + name)


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    home = type(value).__module__
    if isinstance(value, Mapping):
        yield from (("[]", item) for item in value.values())
    elif isinstance(value, list | tuple | deque | set):
        yield from (("[]", item) for item in value)
    elif home.startswith("stream_vae.") and not isinstance(value, Enum):
        yield from ((f".{name}", getattr(value, name)) for name in _attributes(value))
    elif home.startswith("river."):
        for name in ("estimation", "total", "variance", "width"):
            yield f".{name}", getattr(value, name)


def _attributes(value: Any) -> list[str]:
    if is_dataclass(value):
        return [field.name for field in fields(value)]
    return [name for name in vars(value) if name != "scorer"]  # a model's buffers are no state


def paths_of_numbers(pipeline: Pipeline) -> set[str]:
    """Return the paths looked at, to prove that there are any."""
    return {path for path, _ in _numbers(pipeline, "")}
