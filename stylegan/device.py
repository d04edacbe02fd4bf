"""The device that a network runs on."""

import torch


class DeviceError(ValueError):
    """The device that was asked for is not there; `str(e)` is the whole sentence."""

    code = "E-DEVICE"


def pick_device(name: str) -> str:
    """Return 'cuda' or 'cpu' for 'auto', 'cpu' or 'cuda'.

    Raises:
        DeviceError: 'cuda' was asked for and is not there.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise DeviceError("--device cuda: torch sees no GPU here. Use --device auto.")
    return "cpu" if name == "cpu" or not torch.cuda.is_available() else "cuda"
