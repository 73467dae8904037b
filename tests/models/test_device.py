import pytest
import torch

from stream_vae.errors import ConfigError
from stream_vae.models.device import resolve_device


@pytest.mark.parametrize("name", ["gpu", "", "cuda:", "cuda:x", "cuda:-1", "CPU", "cpu:0"])
def test_unknown_device_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="expected auto, cpu, cuda or cuda:N"):
        resolve_device(name)


def test_absent_cuda_device_is_refused_by_number() -> None:
    with pytest.raises(ConfigError, match=r"'cuda:99' was asked for.* use auto or cpu"):
        resolve_device("cuda:99")


def test_auto_takes_cuda_exactly_if_there_is_one() -> None:
    found = torch.cuda.is_available() and torch.cuda.device_count() > 0
    assert resolve_device("auto") == torch.device("cuda:0" if found else "cpu")
