"""Settings from all sources, validated as a whole; the only code that reads the environment."""

from stream_vae.settings.fields import markdown_table, settings_table
from stream_vae.settings.load import LoadedSettings, load_settings
from stream_vae.settings.model import (
    BundleConfig,
    DetectorConfig,
    InputConfig,
    OutputConfig,
    Settings,
    WorkerConfig,
)
from stream_vae.settings.show import to_json, to_yaml
from stream_vae.settings.sources import LogKind

__all__ = [
    "BundleConfig",
    "DetectorConfig",
    "InputConfig",
    "LoadedSettings",
    "LogKind",
    "OutputConfig",
    "Settings",
    "WorkerConfig",
    "load_settings",
    "markdown_table",
    "settings_table",
    "to_json",
    "to_yaml",
]
