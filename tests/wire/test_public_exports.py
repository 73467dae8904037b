import subprocess
import sys

import pytest

import stream_vae

PROGRAM = """
import sys
import stream_vae
assert not {"torch", "numpy", "msgspec"} & set(sys.modules), "importing must stay light"
for name in stream_vae.__all__:
    getattr(stream_vae, name)
assert "msgspec" in sys.modules
assert not {"torch", "numpy", "confluent_kafka"} & set(sys.modules)
"""


def test_alert_consumers_load_neither_torch_nor_the_kafka_client() -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr


def test_every_public_name_leads_somewhere() -> None:
    assert all(hasattr(stream_vae, name) for name in stream_vae.__all__)


def test_other_names_are_refused_as_by_any_module() -> None:
    with pytest.raises(AttributeError, match="no attribute 'decode_alrt'"):
        _ = stream_vae.decode_alrt  # type: ignore[attr-defined]  # the misspelling is the point
