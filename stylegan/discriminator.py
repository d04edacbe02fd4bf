"""The residual discriminator of StyleGAN2 (Karras et al. 2020), as StyleGAN3 uses it."""

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from custom_ops import bias_act, upfirdn2d
from stylegan.config import ConfigError, DiscriminatorConfig
from stylegan.generator import signal_type
from stylegan.layers import EPSILON, Linear, normalize_second_moment

BLUR_TAPS = (1.0, 3.0, 3.0, 1.0)


class ConvLayer(nn.Module):
    """Convolution with equalised learning rate, optionally blurred and decimated by 2."""

    blur: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        down: int = 1,
        act: str = "lrelu",
        use_bias: bool = True,
        clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if use_bias else None
        self.down, self.act, self.clamp = down, act, clamp
        blur = torch.tensor(BLUR_TAPS)
        self.register_buffer("blur", blur / blur.sum(), persistent=False)

    def _convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        kernel = weight.shape[-1]
        if self.down == 1:
            return F.conv2d(x, weight, padding=kernel // 2)
        if kernel == 1:  # nothing lies between filter and convolution: decimate first
            return F.conv2d(upfirdn2d(x, self.blur, down=2, padding=1), weight)
        return F.conv2d(upfirdn2d(x, self.blur, padding=2), weight, stride=2)

    def forward(self, x: Tensor, gain: float = 1) -> Tensor:  # [N, I, H, W] -> [N, O, H/down, ...]
        scale = 1 / math.sqrt(self.weight[0].numel())
        y = self._convolve(x, (self.weight * scale).to(x.dtype))
        act_gain = gain * (math.sqrt(2) if self.act == "lrelu" else 1)
        clamp = None if self.clamp is None else self.clamp * gain
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return bias_act(y, bias, act=self.act, gain=act_gain, clamp=clamp)


class Block(nn.Module):
    """Two convolutions with a residual connection, halving the resolution."""

    def __init__(self, in_channels: int, out_channels: int, clamp: float) -> None:
        super().__init__()
        self.conv0 = ConvLayer(in_channels, in_channels, 3, clamp=clamp)
        self.conv1 = ConvLayer(in_channels, out_channels, 3, down=2, clamp=clamp)
        self.skip = ConvLayer(in_channels, out_channels, 1, down=2, act="linear", use_bias=False)

    def forward(self, x: Tensor) -> Tensor:  # [N, I, H, W] -> [N, O, H/2, W/2]
        gain = math.sqrt(0.5)
        return self.skip(x, gain=gain) + self.conv1(self.conv0(x), gain=gain)


def samples_per_group(num: int, group_size: int) -> int:
    """Return how many of `num` samples share a statistic: `group_size`, or all if fewer.

    Raises:
        ConfigError: the batch cannot be divided into groups.
    """
    if num % min(group_size, num):
        raise ConfigError(
            f"batch of {num}: not divisible by the group size {group_size} of the minibatch "
            "standard deviation. Change --batch or --mbstd-group."
        )
    return min(group_size, num)


def minibatch_std(x: Tensor, group_size: int, num_channels: int) -> Tensor:
    """Append the standard deviation over groups of samples (Karras et al. 2018, section 3).

    Group g gathers samples g, g + N/G, ...; `x [N, C, H, W]` -> `[N, C + num_channels, H, W]`.

    Raises:
        ConfigError: the batch cannot be divided into groups.
    """
    num, channels, height, width = x.shape
    group_size = samples_per_group(num, group_size)
    y = x.reshape(group_size, -1, num_channels, channels // num_channels, height, width)
    y = (y.var(0, correction=0) + EPSILON).sqrt().mean([2, 3, 4])  # [N / G, num_channels]
    y = y.reshape(-1, num_channels, 1, 1).repeat(group_size, 1, height, width)
    return torch.cat([x, y], dim=1)


class Epilogue(nn.Module):
    """The end of the discriminator at 4x4: minibatch statistics, convolution, two linear layers."""

    def __init__(self, channels: int, out_features: int, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.group_size, self.num_channels = config.mbstd_group_size, config.mbstd_num_channels
        self.conv = ConvLayer(channels + self.num_channels, channels, 3, clamp=config.conv_clamp)
        self.fc = Linear(channels * 16, channels, act="lrelu")
        self.out = Linear(channels, out_features)

    def forward(self, x: Tensor) -> Tensor:  # [N, C, 4, 4] -> [N, out_features]
        x = self.conv(minibatch_std(x, self.group_size, self.num_channels))
        return self.out(self.fc(x.flatten(1)))


class LabelMapping(nn.Module):
    """Map labels `[N, c_dim]` to the projection vector `[N, cmap_dim]` of a conditional D."""

    def __init__(self, c_dim: int, cmap_dim: int, num_layers: int = 8) -> None:
        super().__init__()
        self.embed = Linear(c_dim, cmap_dim)
        self.layers = nn.ModuleList(
            Linear(cmap_dim, cmap_dim, act="lrelu", lr_multiplier=0.01) for _ in range(num_layers)
        )

    def forward(self, c: Tensor) -> Tensor:
        x = normalize_second_moment(self.embed(c.float()))
        for layer in self.layers:
            x = layer(x)
        return x


class Discriminator(nn.Module):
    """Tell drawn pictures from generated ones: `D(img, c) -> logits [N, 1]`."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        sizes = [2**k for k in range(config.img_resolution.bit_length() - 1, 1, -1)]  # R ... 4
        widths = [config.channels(size) for size in sizes]
        clamp = config.conv_clamp
        self.from_rgb = ConvLayer(config.img_channels, widths[0], 1, clamp=clamp)
        self.blocks = nn.ModuleList(Block(a, b, clamp) for a, b in itertools.pairwise(widths))
        self.mapping = LabelMapping(config.c_dim, widths[-1]) if config.c_dim else None
        self.epilogue = Epilogue(widths[-1], widths[-1] if config.c_dim else 1, config)

    def forward(self, img: Tensor, c: Tensor | None = None, precision: str = "fp32") -> Tensor:
        """Return logits `[N, 1]`, positive for pictures that look real.

        Args:
            img: `[N, img_channels, R, R]` in [-1, 1].
            c: labels `[N, c_dim]` of a conditional discriminator.
            precision: 'fp32', 'bf16' or 'fp16', the type of the signals in the blocks of the four
                highest resolutions (R to R/8); float32 in the others and in the epilogue.

        Raises:
            ValueError: labels are missing, or (ConfigError) the batch does not divide into groups.
        """
        resolution = self.config.img_resolution
        dtype = signal_type(precision, resolution, resolution)
        x = self.from_rgb(img.to(dtype).contiguous(memory_format=torch.channels_last))
        for level, block in enumerate(self.blocks):
            x = block(x.to(signal_type(precision, resolution >> level, resolution)))
        features = self.epilogue(x.float())
        if self.mapping is None:
            return features
        if c is None:
            raise ValueError("This discriminator is conditional: give labels c [N, c_dim].")
        cmap = self.mapping(c)
        return (features * cmap).sum(1, keepdim=True) / math.sqrt(cmap.shape[1])
