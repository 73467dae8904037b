"""Schemas, and where they come from."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

SchemaId = int | str
"""A number, or the text of a globally unique id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredSchema:
    """A schema as the registry gives it."""

    kind: str
    """`AVRO`, `JSON` or `PROTOBUF`."""
    text: str
    references: Mapping[str, str] = field(default_factory=dict)
    """Name -> text of the schemas it refers to, those that others need first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownSchema:
    """The registry answered that it has no such schema."""

    detail: str


class SchemaSource(Protocol):
    """Looks up schemas in the background."""

    def find(
        self, ids: Collection[SchemaId]
    ) -> Mapping[SchemaId, RegisteredSchema | UnknownSchema]:
        """Return the schemas that the registry has answered for.

        The others are asked for, again and again. A call may wait a moment for the answers.
        """
        ...

    def waiting_for(self, schema_id: SchemaId) -> str:
        """Return what is being waited for, and why so long, for a person."""
        ...
