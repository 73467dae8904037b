"""Choice of the compute device."""

import torch

from stream_vae.errors import ConfigError


def limit_threads(threads: int) -> None:
    """Set torch's CPU threads in this process; call it before any other torch function.

    One is the best choice for networks of this size: two gain a quarter on idle cores and lose a
    factor of ten or more on busy ones, where they synchronise after every small product. The count
    is part of "the same machine": another one may change the last bits of a score.
    """
    torch.set_num_threads(threads)


def resolve_device(name: str) -> torch.device:
    """Return the device named `auto`, `cpu`, `cuda` or `cuda:N`.

    `auto` is the first CUDA device if there is one, else the CPU. On CUDA recurrent layers compute
    in float32 from then on, not in TF32, which cuDNN takes unless told otherwise: its ten bits of
    mantissa would be seen in the scores.

    Raises:
        ConfigError: If the name is none of these, or names a CUDA device that is not available.

    >>> resolve_device("cpu")
    device(type='cpu')
    """
    if name == "cpu":
        return torch.device("cpu")
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return _in_float32(torch.device("cuda:0")) if found else torch.device("cpu")
    kind, _, number = name.partition(":")
    if kind != "cuda" or (number and not number.isdecimal()) or name.endswith(":"):
        raise ConfigError(f"device: found {name!r}, expected auto, cpu, cuda or cuda:N")
    index = int(number or 0)
    if index >= found:
        raise ConfigError(
            f"device: {name!r} was asked for, but torch {torch.__version__} sees {found} CUDA "
            "devices here; use auto or cpu"
        )
    return _in_float32(torch.device("cuda", index))


def _in_float32(device: torch.device) -> torch.device:
    torch.backends.cudnn.allow_tf32 = False
    return device
