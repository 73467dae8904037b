"""Which feature a point is of, and which series."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stream_vae.core.excerpts import printable
from stream_vae.core.model_spec import Feature
from stream_vae.errors import ConfigError
from stream_vae.inputs.reading_format import ReadingFormat

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
        self.quantiles = sorted(
            {
                (found[0], float(found[1]) / 100)
                for found in map(_QUANTILE.search, self.places)
                if found
            }
        )
        """What follows a feature's name (`.p99`), and the quantile that it means: those of
        histograms that the model has."""
        self._feature = _parts("input.feature_name", fmt.feature_name)
        field = fmt.series_field
        if field is not None and "{" not in field:
            field = f"{{{field}}}"
        self._series = None if field is None else _parts("input.series_field", field)

    def feature(self, metric: MetricNames, attributes: Labels) -> str:
        """Return the name of a point's feature, without what it is of a histogram.

        An attribute that a point lacks is empty.
        """
        return "".join(
            part if is_text else _label(part, metric, attributes) or ""
            for is_text, part in self._feature
        )

    def series(self, metric: MetricNames, attributes: Labels) -> str | None:
        """Return the name of a point's series; None where the record's key names it.

        One that lacks a label which the template names has none: "".
        """
        if self._series is None:
            return None
        found = [
            part if is_text else _label(part, metric, attributes) for is_text, part in self._series
        ]
        return "" if None in found or "" in found else "".join(filter(None, found))


def _parts(setting: str, template: str) -> list[tuple[bool, str]]:
    """Return (whether it is text rather than a label, text or label) in their order."""
    parts = [(at % 2 == 0, part) for at, part in enumerate(_LABEL.split(template)) if part]
    for is_text, part in parts:
        if not is_text and not _KNOWN.fullmatch(part):
            raise ConfigError(f"{setting}: found {{{printable(part, 60)}}}; expected {_EXPECTED}")
        if is_text and ("{" in part or "}" in part):
            raise ConfigError(f"{setting}: found {printable(template, 60)!r}; a brace has no end")
    return parts


def _label(label: str, metric: MetricNames, attributes: Labels) -> str | None:
    if label == "name":
        return metric.name
    if label == "unit":
        return metric.unit
    if label == "scope.name":
        return metric.scope
    where, _, key = label.partition(".")
    return (metric.resource if where == "resource" else attributes).get(key)
