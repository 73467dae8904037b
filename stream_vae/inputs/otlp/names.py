"""Which feature a point is of, and which series."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from stream_vae.core.excerpts import printable
from stream_vae.core.model_spec import Feature
from stream_vae.errors import ConfigError, DecodeError
from stream_vae.inputs.reading_format import ReadingFormat
from stream_vae.inputs.remembered import Remembered
from stream_vae.inputs.series_places import no_series

Labels = Mapping[str, str]

_LABEL = re.compile(r"\{([^{}]*)\}")
_QUANTILE = re.compile(r"\.p([0-9]{1,2}(?:\.[0-9]+)?|100)$")
_KNOWN = re.compile(r"name|unit|scope\.name|(?:resource|attributes)\..+")
_EXPECTED = "name, unit, scope.name, resource.KEY or attributes.KEY"
MAX_UNUSED = 10
"""Most names that are told of a record that has none of the model's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricNames:
    """What names a point besides its own attributes."""

    name: str
    unit: str
    scope: str
    resource: Labels


class PointNames:
    """Names features and series by the operator's templates.

    Args:
        features: F, in the model's order.
        fmt: The operator's choices.

    Raises:
        ConfigError: If a template names what a point does not have.
    """

    def __init__(self, features: Sequence[Feature], fmt: ReadingFormat) -> None:
        names = [feature.name for feature in features]
        self.places = {fmt.feature_fields.get(name, name): at for at, name in enumerate(names)}
        # A bundle may be from when a name kept the point before an attribute that is lacking.
        for name, at in [*self.places.items()]:
            self.places.setdefault(name.rstrip("."), at)
        self.quantiles = sorted(
            {
                (found[0], float(found[1]) / 100)
                for found in map(_QUANTILE.search, self.places)
                if found
            }
        )
        """What follows a feature's name (`.p99`), and the quantile that it means: those of
        histograms that the model has."""
        self._feature = name_parts("input.feature_name", fmt.feature_name)
        field = fmt.series_field
        if field is not None and "{" not in field:
            field = f"{{{field}}}"
        self._series = None if field is None else name_parts("input.series_field", field)
        self._series_field = fmt.series_field or ""
        self._lacking = Remembered[tuple[str, ...], DecodeError]()

    def feature(self, metric: MetricNames, attributes: Labels) -> str:
        """Return the name of a point's feature, without what it is of a histogram.

        An attribute that a point lacks is left out, see `joined`.
        """
        return joined(
            (is_text, part if is_text else label_of(part, metric, attributes) or "")
            for is_text, part in self._feature
        )

    def series(self, metric: MetricNames, attributes: Labels) -> str | DecodeError | None:
        """Return the name of a point's series; None where the record's key names it.

        One that lacks a label which the template names has none, but the same error as others with
        labels of these names.
        """
        if self._series is None:
            return None
        found = [
            part if is_text else label_of(part, metric, attributes)
            for is_text, part in self._series
        ]
        if None not in found and "" not in found:
            return "".join(filter(None, found))
        there = (
            *(f"resource.{name}" for name in metric.resource),
            *(f"attributes.{name}" for name in attributes),
        )
        error = self._lacking.get(there)
        if error is None:
            error = no_series(self._series_field, there)
            self._lacking.keep(there, error, n_characters=sum(map(len, there)))
        return error


def joined(parts: Iterable[tuple[bool, str]]) -> str:
    """Return texts and labels as one, an empty label left out with the text between it and another.

    Args:
        parts: (whether it is text rather than the value of a label, text or value).

    >>> joined([(False, "load"), (True, "."), (False, "")])
    'load'
    """
    found = between = ""
    is_first_empty = False
    for is_text, part in parts:
        if is_text:
            between = "" if is_first_empty else part
        elif part:
            found, between, is_first_empty = found + between + part, "", False
        else:
            between, is_first_empty = "", not found
    return found + between


def name_parts(setting: str, template: str) -> list[tuple[bool, str]]:
    """Return (whether it is text rather than a label, text or label) in their order.

    Raises:
        ConfigError: If a template names what no point has.
    """
    parts = [(at % 2 == 0, part) for at, part in enumerate(_LABEL.split(template)) if part]
    for is_text, part in parts:
        if not is_text and not _KNOWN.fullmatch(part):
            raise ConfigError(f"{setting}: found {{{printable(part, 60)}}}; expected {_EXPECTED}")
        if is_text and ("{" in part or "}" in part):
            raise ConfigError(f"{setting}: found {printable(template, 60)!r}; a brace has no end")
    return parts


def label_of(label: str, metric: MetricNames, attributes: Labels) -> str | None:
    """Return what a label of `name_parts` is; None where it is lacking."""
    if label == "name":
        return metric.name
    if label == "unit":
        return metric.unit
    if label == "scope.name":
        return metric.scope
    where, _, key = label.partition(".")
    return (metric.resource if where == "resource" else attributes).get(key)
