"""Stand-ins for secrets, for commands that describe a deployment and connect to nothing."""

from collections.abc import Mapping
from typing import Any

from pydantic_settings import InitSettingsSource

from stream_vae.settings.fields import Path
from stream_vae.settings.model import Settings

_TEXT = "not needed to describe"
_PROPERTY_MAPS = ("common", "consumer", "producer")
_OF_MECHANISM = {
    "PLAIN": ("sasl_password", "sasl.password"),
    "SCRAM-SHA-256": ("sasl_password", "sasl.password"),
    "SCRAM-SHA-512": ("sasl_password", "sasl.password"),
    "OAUTHBEARER": ("sasl_oauthbearer_client_secret", "sasl.oauthbearer.client.secret"),
}
"""What the settings ask for with it, and the client's own name of that."""


class StandInSource(InitSettingsSource):
    """Stands in for each secret that the settings ask for.

    Args:
        given: What other sources give, which win.
    """

    def __init__(self, given: Mapping[Path, object]) -> None:
        found: dict[str, Any] = {"page": {"token": _TEXT}}
        mechanism = given.get(("kafka", "sasl_mechanism"))
        wanted = _OF_MECHANISM.get(str(mechanism))
        if wanted is not None:
            setting, property_ = wanted
            if not any(("kafka", place, property_) in given for place in _PROPERTY_MAPS):
                found["kafka"] = {setting: _TEXT}
        super().__init__(Settings, found)

    def origin(self, _: Path) -> str:
        """Return that it only stands in."""
        return "stand-in"
