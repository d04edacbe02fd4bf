"""Which layers compute in 16 bits, and that float16 can hold what they compute."""

import math

import pytest
import torch
from tiny_models import real_batch, tiny_discriminator, tiny_generator

from stylegan import Discriminator, DiscriminatorConfig, Generator, GeneratorConfig
from stylegan.generator import native_precision, signal_type
from stylegan.layers import modulated_conv2d

SMALL = {"channel_base": 512, "channel_max": 4}


def input_types(modules, run):
    """Return the types that reach the modules, in the order of the calls."""
    types = []
    hooks = [m.register_forward_pre_hook(lambda _, x: types.append(x[0].dtype)) for m in modules]
    run()
    for hook in hooks:
        hook.remove()
    return types


@pytest.mark.parametrize(
    ("resolution", "precision", "wide", "narrow"),
    [(256, "bf16", 3, 12), (256, "fp32", 15, 0), (64, "bf16", 0, 15)],
)
def test_four_highest_sampling_rates_of_the_generator(resolution, precision, wide, narrow):
    """At 256, the rates of the layers are 16 (3 layers), 32 (2), 64 (2), 128 (3) and 256 (5)."""
    small = SMALL | {"margin_size": 2, "filter_size": 2, "z_dim": 4, "w_dim": 4}
    G = Generator(GeneratorConfig(img_resolution=resolution, **small))
    ws = torch.zeros(1, 16, 4)
    types = input_types(G.synthesis.layers, lambda: G.synthesis(ws, precision=precision))
    assert types == [torch.float32] * wide + [torch.bfloat16] * narrow
    assert G.synthesis(ws, precision=precision).dtype == torch.float32


def test_four_highest_resolutions_of_the_discriminator():
    D = Discriminator(DiscriminatorConfig(img_resolution=128, **SMALL))
    img = torch.zeros(1, 3, 128, 128)
    types = input_types([D.from_rgb, *D.blocks, D.epilogue], lambda: D(img, precision="bf16"))
    assert types == [torch.bfloat16] * 5 + [torch.float32] * 2  # RGB, 128, 64, 32, 16; 8, 4
    assert (
        signal_type("fp16", 16, 128) == torch.float16 and signal_type("fp16", 8, 128).itemsize == 4
    )


@pytest.mark.parametrize(("fp32", "expected"), [(None, "fp16"), (False, "fp16"), (True, "fp32")])
def test_native_precision_of_a_gpu(fp32, expected):
    assert native_precision(fp32, "cuda") == expected


@torch.no_grad()
def test_float16_is_clamped():
    """Signals that would overflow are held at conv_clamp, in both networks."""
    G, D = tiny_generator(), tiny_discriminator()
    peaks = []
    for layer in [*G.synthesis.layers[:-1], D.blocks[0].conv0]:
        layer.bias.fill_(1e4)
        layer.register_forward_hook(lambda m, _, y: peaks.append(y.abs().max().item()))
    assert G.synthesis(G.mapping(torch.randn(2, 16)), precision="fp16").isfinite().all()
    assert D(real_batch(), precision="fp16").isfinite().all()
    *of_G, of_D = peaks
    assert of_D == 256
    assert max(of_G) < 256 * 1.5 and min(of_G) > 256 / 1.5  # the filter after it overshoots


def test_convolution_of_the_largest_signals_fits_float16():
    x = torch.full((1, 512, 2, 2), 256.0)
    weight, style = torch.ones(1, 512, 3, 3), torch.ones(1, 512)
    y, demodulation = modulated_conv2d(x.half(), weight, style, input_gain=torch.ones([]))
    assert y.isfinite().all()
    centre = (y.float() * demodulation[:, :, None, None])[0, 0, 1, 1]
    # four of nine taps see the signal; a demodulated filter has unit norm: 1 / sqrt(512 9) each
    assert centre.item() == pytest.approx(256 * 4 * 512 / math.sqrt(512 * 9), rel=1e-3)


def test_gradients_survive_float16():
    """Gradients of unit size must leave the convolution so, not divided by its fan-in's root."""
    x = torch.randn(1, 512, 8, 8).half().requires_grad_()
    weight, style = torch.randn(8, 512, 3, 3), torch.randn(1, 512)
    y, demodulation = modulated_conv2d(x, weight, style, input_gain=torch.ones([]))
    (grad,) = torch.autograd.grad((y.float() * demodulation[:, :, None, None]).sum(), y)
    assert 0.5 < grad.abs().mean() < 2
