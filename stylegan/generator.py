"""The StyleGAN3 generator: mapping network and alias-free synthesis network."""

import itertools

import torch
from torch import Tensor, nn

from stylegan.config import GeneratorConfig
from stylegan.filters import plan_layers
from stylegan.layers import FourierInput, Linear, SynthesisLayer, normalize_second_moment

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def signal_type(precision: str, sampling_rate: int, img_resolution: int) -> torch.dtype:
    """Return the type of a signal: 16 bits only in the four highest resolutions, R to R/8.

    They take nearly all of the time; what the others lose in 16 bits every layer after inherits
    (Karras et al. 2021, appendix D).
    """
    return PRECISIONS[precision] if sampling_rate * 16 > img_resolution else torch.float32


def native_precision(fp32: bool | None = None, device: str = "cpu") -> str:
    """Return 'fp32' if asked for, else the 16-bit type of the device: 'fp16' of 'cuda'.

    On the CPU 'bf16' where the processor computes it, or where 'fp32' is refused.
    """
    if device == "cuda" and not fp32:
        return "fp16"
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    has_bf16 = capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")
    return "fp32" if fp32 or (fp32 is None and not has_bf16) else "bf16"


class Mapping(nn.Module):
    """Map latents z to intermediate latents w (Karras et al. 2019, section 2)."""

    w_avg: Tensor

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.num_ws = config.num_ws
        self.embed = Linear(config.c_dim, config.w_dim) if config.c_dim else None
        widths = [config.z_dim + (config.w_dim if config.c_dim else 0)]
        widths += [config.w_dim] * config.mapping_layers
        self.layers = nn.ModuleList(
            Linear(a, b, act="lrelu", lr_multiplier=0.01) for a, b in itertools.pairwise(widths)
        )
        self.register_buffer("w_avg", torch.zeros(config.w_dim))

    def forward(self, z: Tensor, c: Tensor | None = None, truncation_psi: float = 1) -> Tensor:
        """Return `ws [N, num_ws, w_dim]` for `z [N, z_dim]` and labels `c [N, c_dim]`.

        `w_avg + psi (w - w_avg)`, the same for every layer.
        """
        x = normalize_second_moment(z.float())
        if self.embed is not None:
            if c is None:
                raise ValueError("This generator is conditional: give labels c [N, c_dim].")
            x = torch.cat([x, normalize_second_moment(self.embed(c.float()))], dim=1)
        for layer in self.layers:
            x = layer(x)
        if truncation_psi != 1:
            x = self.w_avg.lerp(x, truncation_psi)
        return x[:, None].expand(-1, self.num_ws, -1)


class Synthesis(nn.Module):
    """Synthesise a picture from per-layer latents (Karras et al. 2021, section 3)."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        plan = plan_layers(config)
        self.img_resolution, self.output_scale = config.img_resolution, config.output_scale
        self.sampling_rates = [geometry.target.sampling_rate for geometry in plan]
        self.input = FourierInput(config.w_dim, plan[0].source)
        self.layers = nn.ModuleList(
            SynthesisLayer(config.w_dim, geometry, config.conv_clamp) for geometry in plan
        )

    def forward(
        self, ws: Tensor, transform: Tensor | None = None, precision: str = "fp32"
    ) -> Tensor:
        """Return pictures `[N, img_channels, R, R]`, nominally in [-1, 1], float32.

        Args:
            ws: `[N, num_ws, w_dim]`.
            transform: `[3, 3]` or `[N, 3, 3]`, the inverse of the pose of the picture.
            precision: 'fp32', 'bf16' or 'fp16', the type of the signals in layers whose output has
                one of the four highest sampling rates (R, R/2, R/4, R/8); float32 in the others.
        """
        first, *rest = ws.float().unbind(1)
        x = self.input(first, transform)
        for layer, rate, w in zip(self.layers, self.sampling_rates, rest, strict=True):
            x = layer(x.to(signal_type(precision, rate, self.img_resolution)), w)
        return x.float() * self.output_scale


class Generator(nn.Module):
    """StyleGAN3 generator: `img = synthesis(mapping(z, c))`."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        self.mapping = Mapping(config)
        self.synthesis = Synthesis(config)

    def forward(self, z: Tensor, c: Tensor | None = None, truncation_psi: float = 1) -> Tensor:
        """Return pictures `[N, img_channels, R, R]` for `z [N, z_dim]`, labels `c [N, c_dim]`."""
        return self.synthesis(self.mapping(z, c, truncation_psi))
