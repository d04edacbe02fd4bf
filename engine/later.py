"""Numbers that a device is still computing."""

import torch
from torch import Tensor


class Later:
    """A number on its way from a device: made without waiting for it, read when it is needed.

    Args:
        number: a tensor of one element, or a plain number.
    """

    def __init__(self, number: Tensor | float) -> None:
        self._number, self._arrived = number, None
        if isinstance(number, Tensor):
            self._number = number.detach().to("cpu", non_blocking=True)
            if number.is_cuda:
                self._arrived = torch.cuda.Event()
                self._arrived.record()

    def __float__(self) -> float:
        """Wait until the number is there, not for what the device was given after it."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return float(self._number)
