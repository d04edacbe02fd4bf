"""`precision='bf16'` of synthesis: pictures and gradients to ws, against float32."""

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan import Generator, GeneratorConfig, load_generator

MODEL = Path(__file__).parents[2] / "pretrained" / "generator.safetensors"


@torch.no_grad()
def _untrained() -> Generator:
    """A generator at 256x256 with the magnitudes that training would have found."""
    torch.manual_seed(0)
    G = Generator(GeneratorConfig(channel_base=8192, channel_max=128))

    def settle(layer, inputs) -> None:
        layer.magnitude_ema.copy_(inputs[0].square().mean())

    hooks = [layer.register_forward_pre_hook(settle) for layer in G.synthesis.layers]
    G(torch.randn(2, G.config.z_dim))
    for hook in hooks:
        hook.remove()
    return G


def _picture_and_gradients(G: Generator, ws: Tensor, precision: str) -> list[Tensor]:
    """The gradients of the picture's energy and of a distance at 32x32, as in an inversion."""
    leaf = ws.clone().requires_grad_()
    x = G.synthesis(leaf, precision=precision)
    small = F.avg_pool2d(x, x.shape[-1] // 32)
    target = torch.randn(small.shape, generator=torch.Generator().manual_seed(2))
    losses = x.square().sum(), (small - target).square().sum()
    grads = [torch.autograd.grad(loss, leaf, retain_graph=True)[0] for loss in losses]
    return [x.detach(), *grads]


@pytest.mark.parametrize("make", [_untrained, lambda: load_generator(MODEL)])
def test_bf16_is_close(make):
    G = make().eval().requires_grad_(False)
    z = torch.randn(2, G.config.z_dim, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        ws = G.mapping(z).contiguous()
    (x, *wide), (y, *narrow) = (_picture_and_gradients(G, ws, p) for p in ("fp32", "bf16"))
    assert 0.2 < x.std() < 5
    assert 45 <= 10 * math.log10(4 / (x - y).square().mean()) < 90  # the range is [-1, 1]
    for a, b in zip(wide, narrow, strict=True):
        assert F.cosine_similarity(a.flatten(), b.flatten(), dim=0) >= 0.999
