import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_vae.errors import BundleError
from stream_vae.vae.bundle import Bundle
from stream_vae.vae.bundle_format import (
    MODEL_FILE,
    WEIGHTS_FILE,
    _content_sha256,
    _Document,
    _sha256,
    decode_bundle,
    encode_bundle,
    msgspec,
    with_version,
)
from stream_vae.vae.config import ArchitectureConfig
from stream_vae.vae.scoring import WindowScorer
