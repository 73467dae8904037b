"""Lines to counts: one column for each template, level, and kind of line that training met."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.log_templates import LEVEL, LINES, UNSEEN, LogTemplate
from stream_vae.core.model_spec import Feature
from stream_vae.inputs.log_lines.levels import LEVELS

_NOT_COUNTED = -1


class LineCounter:
    """Turns N lines into N vectors of counts, to be added up by series and step.

    Args:
        features: F of the model: those of its templates, `lines`, `unseen`, `level.NAME`.
        templates: Of the model.
    """

    def __init__(self, features: Sequence[Feature], templates: Sequence[LogTemplate]) -> None:
        column = {feature.name: f for f, feature in enumerate(features)}
        self._n_features = len(features)
        unseen = column.get(UNSEEN, _NOT_COUNTED)
        # The last serves lines without a template, numbered -1.
        self._by_template = np.array([*(column[one.feature] for one in templates), unseen])
        self._by_level = np.array(
            [column.get(f"{LEVEL}.{name}", _NOT_COUNTED) for name in LEVELS], np.int64
        )
        self._lines = column.get(LINES, _NOT_COUNTED)

    def vectors(
        self, templates: NDArray[np.int32], levels: NDArray[np.int8]
    ) -> NDArray[np.float64]:
        """Return (N, F) counts of each line, 0 or 1.

        Args:
            templates: (N,) number of each line's template; -1: none of the model's.
            levels: (N,) positions in `LEVELS`; 0 where a line tells none.
        """
        found = np.zeros((len(templates), self._n_features))
        at = np.arange(len(templates))
        for columns in (self._by_template[templates], self._by_level[levels]):
            counted = columns != _NOT_COUNTED
            found[at[counted], columns[counted]] = 1.0
        if self._lines != _NOT_COUNTED:
            found[:, self._lines] = 1.0
        return found


def features_of(
    templates: Sequence[LogTemplate], levels: Sequence[str], *, of_sessions: bool = False
) -> tuple[Feature, ...]:
    """Return the features of a model of logs, all of them counts of lines.

    A level that all lines have would repeat `lines`, and has no feature.

    Args:
        templates: As training found them.
        levels: Names of the levels that tell lines apart.
        of_sessions: They are those of sessions: of templates alone, since an alert is to name the
            event that did not fit.
    """
    own = dict.fromkeys(template.feature for template in templates)
    names = [*own, *(f"{LEVEL}.{name}" for name in levels), UNSEEN, LINES]
    if of_sessions:
        names = [*own, UNSEEN]
    return tuple(Feature(name=name, unit="lines", kind="count") for name in names)


def with_kinds(features: Sequence[Feature], are_even: NDArray[np.bool_]) -> tuple[Feature, ...]:
    """Return features, those whose counts hardly vary as numbers.

    Args:
        features: F
        are_even: (F,) see `are_even`.
    """
    even = are_even.tolist()
    return tuple(
        replace(feature, kind="numeric") if is_even else feature
        for feature, is_even in zip(features, even, strict=True)
    )
