"""LPIPS (Zhang et al. 2018): how different two pictures look to a network, from given weights."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor


class PerceptualError(ValueError):
    """Weights that are not those of LPIPS; `str(e)` is the whole sentence."""

    code = "E-MODEL"


def load_lpips(path: Path, device: str = "cpu") -> Callable[[Tensor, Tensor], Tensor]:
    """Return LPIPS with AlexNet: two sets of pictures `[N, 3, H, W]` in [-1, 1] -> `[N]`.

    Nothing is downloaded. The file holds `lpips.LPIPS(net="alex").state_dict()` as safetensors.
    Differentiable in both.

    Raises:
        PerceptualError: the file is missing, or holds something else.
    """
    import lpips
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    network = lpips.LPIPS(net="alex", pretrained=False, pnet_rand=True, verbose=False)
    try:
        network.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        what = f"{path}: no weights of LPIPS (AlexNet) as safetensors ({type(error).__name__})"
        raise PerceptualError(f"{what}. Give others, or none.") from error
    network.eval().requires_grad_(False).to(device)

    def distances(a: Tensor, b: Tensor) -> Tensor:
        with torch.autocast(a.device.type, enabled=False):
            found: Tensor = network(a.float(), b.float())
        return found.flatten()

    return distances
