"""Layers of the StyleGAN3 generator: linear, modulated convolution, Fourier input, synthesis."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from custom_ops import filtered_lrelu, modulate
from stylegan.filters import LayerGeometry, PlanEntry

EPSILON = 1e-8


def normalize_second_moment(x: Tensor, dim: int = 1) -> Tensor:
    """Scale `x` to unit mean square along `dim`."""
    return x * (x.square().mean(dim, keepdim=True) + EPSILON).rsqrt()


class Linear(nn.Module):
    """Fully connected layer with equalised learning rate (Karras et al. 2018, section 4.1).

    `y = act(x (W m / sqrt(in))^T + b m)`, `m = lr_multiplier`; `act="lrelu"` is a leaky ReLU of
    slope 0.2 with gain sqrt(2).
    """

    def __init__(
        self, in_features: int, out_features: int, *, act: str = "linear", lr_multiplier: float = 1
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / lr_multiplier)
        self.bias = nn.Parameter(torch.zeros(out_features))
        self.act = act
        self.lr_multiplier = lr_multiplier

    def forward(self, x: Tensor) -> Tensor:  # [N, in] -> [N, out]
        scale = self.lr_multiplier / math.sqrt(self.weight.shape[1])
        y = F.linear(x, self.weight * scale, self.bias * self.lr_multiplier)
        return F.leaky_relu(y, 0.2) * math.sqrt(2) if self.act == "lrelu" else y


def style_affine(w_dim: int, channels: int) -> Linear:
    """Return the map from a latent to per-channel styles; it starts at 1 for every channel."""
    affine = Linear(w_dim, channels)
    nn.init.ones_(affine.bias)
    return affine


def modulated_conv2d(
    x: Tensor, weight: Tensor, style: Tensor, *, demodulate: bool = True, input_gain: Tensor
) -> tuple[Tensor, Tensor | None]:
    """Convolve with per-sample scaled input channels (Karras et al. 2020, section 2.2).

    The grouped form convolves sample n with `W'[o, i] = W[o, i] s[n, i] d[n, o]`. Scaling the
    input by s, convolving with the shared W and scaling the output by d is equal, needs no
    per-sample weights and is one ordinary convolution.

    Args:
        x: signal `[N, I, H, W]`, channels-last.
        weight: `[O, I, k, k]`.
        style: `[N, I]`.
        demodulate: divide each output filter by its root sum of squares.
        input_gain: scalar applied to the input after demodulation is computed.

    Returns:
        `[N, O, H + k - 1, W + k - 1]` of the type of `x`, and d `[N, O]` (None without
        demodulation), by which it is still to be multiplied: what follows reads it anyway.
    """
    demodulation = None
    if demodulate:
        # 16-bit outputs and gradients of unit size; a power of two, so that no bit else changes
        scale = 2.0 ** -round(math.log2(weight[0].numel()) / 2)
        weight = weight * (weight.square().mean([1, 2, 3], keepdim=True).rsqrt() * scale)
        style = normalize_second_moment(style)
        energy = style.square() @ weight.square().sum([2, 3]).T  # [N, O]
        demodulation = (energy + EPSILON * scale**2).rsqrt()
    return full_conv2d(x, style * input_gain, weight), demodulation


def full_conv2d(x: Tensor, scale: Tensor, weight: Tensor) -> Tensor:
    """Convolve `x scale` with padding k - 1, so that every sample that sees the signal is kept.

    Where a weight gradient will be wanted, half of the padding is made explicit: oneDNN computes
    it 2 to 4 times slower at padding 2 than at padding 1.
    """
    padding = weight.shape[-1] - 1
    explicit = padding // 2 if weight.requires_grad and torch.is_grad_enabled() else 0
    x = modulate(x, scale, explicit)
    return F.conv2d(x, weight.to(x.dtype), padding=padding - explicit)


def rigid_transform(pose: Tensor) -> Tensor:
    """Build `Rot(t0, t1) Shift(-t2, -t3)` from unnormalised poses `[N, 4]` -> `[N, 3, 3]`."""
    pose = pose / pose[:, :2].norm(dim=1, keepdim=True)
    cos, sin, dx, dy = pose.unbind(1)
    zero, one = torch.zeros_like(cos), torch.ones_like(cos)
    rotation = torch.stack([cos, -sin, zero, sin, cos, zero, zero, zero, one], dim=1)
    shift = torch.stack([one, zero, -dx, zero, one, -dy, zero, zero, one], dim=1)
    return rotation.view(-1, 3, 3) @ shift.view(-1, 3, 3)


class FourierInput(nn.Module):
    """Continuous input signal: Fourier features in a disc (Karras et al. 2021, section 3.1)."""

    freqs: Tensor
    phases: Tensor
    transform: Tensor

    def __init__(self, w_dim: int, signal: PlanEntry) -> None:
        super().__init__()
        channels = signal.channels
        self.size = signal.size
        self.sampling_rate = signal.sampling_rate
        self.bandwidth = signal.cutoff
        freqs = torch.randn(channels, 2)
        radii = freqs.square().sum(1, keepdim=True).sqrt()
        freqs = freqs / (radii * radii.square().exp().pow(0.25)) * self.bandwidth
        self.weight = nn.Parameter(torch.randn(channels, channels))
        self.affine = Linear(w_dim, 4)
        nn.init.zeros_(self.affine.weight)
        self.affine.bias.data = torch.tensor([1.0, 0.0, 0.0, 0.0])
        self.register_buffer("freqs", freqs)
        self.register_buffer("phases", torch.rand(channels) - 0.5)
        self.register_buffer("transform", torch.eye(3))

    def forward(self, w: Tensor, transform: Tensor | None = None) -> Tensor:
        """Return the signal `[N, C, size, size]` (channels-last) for `w` `[N, w_dim]`.

        `transform` `[3, 3]` or `[N, 3, 3]` is the inverse of what is done to the picture, in
        units of the image width; the default is the stored one (identity unless loaded).
        """
        user = self.transform if transform is None else transform.to(w)
        pose = rigid_transform(self.affine(w)) @ user  # [N, 3, 3]
        freqs = self.freqs @ pose[:, :2, :2]  # [N, C, 2]
        phases = self.phases + (self.freqs @ pose[:, :2, 2:]).squeeze(2)  # [N, C]
        fade = (freqs.norm(dim=2) - self.bandwidth) / (self.sampling_rate / 2 - self.bandwidth)
        amplitudes = (1 - fade).clamp(0, 1)
        centres = torch.arange(self.size, device=w.device, dtype=w.dtype) + 0.5 - self.size / 2
        grid = torch.stack(torch.meshgrid(centres, centres, indexing="xy"), dim=2)
        angle = (grid / self.sampling_rate).flatten(0, 1) @ freqs.mT + phases[:, None]
        x = (2 * math.pi * angle).sin() * amplitudes[:, None]  # [N, size * size, C]
        x = x @ (self.weight / math.sqrt(self.weight.shape[0])).T
        return x.unflatten(1, (self.size, self.size)).permute(0, 3, 1, 2)


class SynthesisLayer(nn.Module):
    """Modulated convolution and filtered nonlinearity (Karras et al. 2021, figure 4)."""

    magnitude_ema: Tensor
    up_filter: Tensor | None
    down_filter: Tensor | None

    def __init__(self, w_dim: int, geometry: LayerGeometry, conv_clamp: float) -> None:
        super().__init__()
        in_channels, out_channels = geometry.source.channels, geometry.target.channels
        kernel = geometry.conv_kernel
        self.geometry = geometry
        self.conv_clamp = conv_clamp
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.affine = style_affine(w_dim, in_channels)
        self.register_buffer("magnitude_ema", torch.ones([]))
        for name, f in (
            ("up_filter", geometry.up_filter()),
            ("down_filter", geometry.down_filter()),
        ):
            taps = None if f is None else torch.as_tensor(f, dtype=torch.float32)
            self.register_buffer(name, taps, persistent=False)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Take `x [N, C_in, H, W]`, `w [N, w_dim]` to `[N, C_out, H', W']` of the type of x."""
        geometry = self.geometry
        style = self.affine(w)
        if geometry.is_rgb:
            style = style / math.sqrt(self.weight[0].numel())
        x, demodulation = modulated_conv2d(
            x,
            self.weight,
            style,
            demodulate=not geometry.is_rgb,
            input_gain=self.magnitude_ema.rsqrt(),
        )
        return filtered_lrelu(
            x,
            self.up_filter,
            self.down_filter,
            self.bias,
            up=geometry.up,
            down=geometry.down,
            padding=geometry.padding,
            gain=1 if geometry.is_rgb else math.sqrt(2),
            slope=1 if geometry.is_rgb else 0.2,
            clamp=self.conv_clamp,
            scale=demodulation,
        )
