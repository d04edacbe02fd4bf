"""A factor per sample and channel."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from custom_ops.arguments import check_padding, check_scale, check_signal
from custom_ops.cpu_kernels import describe_gap
from custom_ops.cpu_modulate import modulate_cpu
from custom_ops.dispatch import choose_path


def modulate(x: Tensor, scale: Tensor, padding: int = 0, impl: str = "auto") -> Tensor:
    """Return `x[n, c] scale[n, c]` with `padding` zeros on every side; differentiable.

    What a modulated convolution does to its input (Karras et al. 2020, section 2.2). One pass over
    memory in both directions on the compiled path, which computes in float32.

    Args:
        x: signal [N, C, H, W], floating.
        scale: factors [N, C].
        padding: pixels >= 0.
        impl: 'auto', 'ref' or 'cpu'.

    Returns:
        [N, C, H + 2 padding, W + 2 padding], type of `x`; channels-last on the compiled path.

    Raises:
        OpsError: wrong arguments, or an implementation that does not exist.
    """
    check_signal("modulate", x)
    check_scale("modulate", x, scale)
    check_padding("modulate", padding)
    channels_last = x.is_contiguous(memory_format=torch.channels_last)  # copying costs more
    if choose_path("modulate", impl, _GAPS, (x, scale), is_worth=channels_last) == "cpu":
        return modulate_cpu(x, scale.float(), padding)
    return _ref(x, scale, padding)


def _describe_cpu_gap(x: Tensor, scale: Tensor) -> str:
    return describe_gap((x, scale), (), ())


_GAPS: dict[str, Any] = {"cpu": _describe_cpu_gap}


def _ref(x: Tensor, scale: Tensor, padding: int) -> Tensor:
    y = x * scale.to(x.dtype)[:, :, None, None]
    return F.pad(y, [padding] * 4) if padding else y
