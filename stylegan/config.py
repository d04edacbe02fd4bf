"""What a generator and a discriminator are made of: every keyword, its meaning and its default."""

from dataclasses import asdict, dataclass, fields
from typing import Any

RANGES: dict[str, tuple[float, float]] = {
    "z_dim": (1, 1 << 16),
    "c_dim": (0, 1 << 16),
    "w_dim": (1, 1 << 16),
    "img_resolution": (8, 1 << 13),
    "img_channels": (1, 1 << 8),
    "channel_base": (1, 1 << 24),
    "channel_max": (1, 1 << 16),
    "num_layers": (1, 100),
    "num_critical": (0, 100),
    "first_cutoff": (0, 1 << 12),
    "first_stopband": (1, 1 << 13),
    "last_stopband_rel": (1, 4),  # below 1, sampling rates could fall and filters be endless
    "margin_size": (0, 1 << 8),
    "output_scale": (0, 1 << 30),
    "conv_kernel": (1, 3),
    "filter_size": (1, 64),
    "lrelu_upsampling": (1, 4),
    "use_radial_filters": (False, True),
    "conv_clamp": (0, 1 << 30),
    "mapping_layers": (1, 100),
    "mbstd_group_size": (1, 1 << 16),
    "mbstd_num_channels": (1, 1 << 16),
}
"""Least and most of every value: no configuration in a file can ask for endless work."""


class ConfigError(ValueError):
    """A value that no network or no training can be made with."""

    code = "E-CONFIG"


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


def require_range(name: str, value: Any, kind: type, least: float, most: float) -> None:
    """Check the type and the range of a value; a number may be whole where it need not be.

    Raises:
        ConfigError: it is of another type, not a number, or out of range.
    """
    fits = type(value) in ((int, float) if kind is float else (kind,))
    what = f"{value!r:.40}; it must be of type {kind.__name__} and lie in [{least}, {most}]"
    _require(fits and least <= value <= most, f"{name} is {what}.")


def _require_ranges(config: "GeneratorConfig | DiscriminatorConfig") -> None:
    for field in fields(config):
        value, kind = getattr(config, field.name), type(field.default)
        require_range(field.name, value, kind, *RANGES[field.name])
    size = config.img_resolution
    is_power = size.bit_count() == 1
    _require(is_power, f"img_resolution is {size}; it must be a power of two, such as 64.")


@dataclass(frozen=True)
class GeneratorConfig:
    """StyleGAN3 generator (Karras et al. 2021, "Alias-Free Generative Adversarial Networks").

    The defaults are configuration T at 256x256. Configuration R is `conv_kernel=1`,
    `use_radial_filters=True` and twice the channels. Cutoffs are in cycles, sampling rates in
    samples, both per image width.

    Raises:
        ConfigError: a value is out of range; the message says which and what would do.
    """

    z_dim: int = 512  # length of the input latent
    c_dim: int = 0  # length of the class label, 0 = unconditional
    w_dim: int = 512  # length of the intermediate latent
    img_resolution: int = 256  # pixels, a power of two
    img_channels: int = 3  # colours
    channel_base: int = 32768  # channels x resolution, roughly
    channel_max: int = 512  # most channels of any layer
    num_layers: int = 14  # layers between the Fourier input and the RGB layer
    num_critical: int = 2  # critically sampled layers at the end
    first_cutoff: float = 2.0  # cutoff of the first layer, cycles
    first_stopband: float = 2**2.1  # stopband of the first layer, cycles
    last_stopband_rel: float = 2**0.3  # stopband of the last layer over its cutoff
    margin_size: int = 10  # pixels of margin round the canvas
    output_scale: float = 0.25  # scale of the picture that leaves the RGB layer
    conv_kernel: int = 3  # 3 (T) or 1 (R)
    filter_size: int = 6  # taps of a low-pass filter per unit of its factor
    lrelu_upsampling: int = 2  # temporary upsampling round each nonlinearity
    use_radial_filters: bool = False  # rotation-invariant downsampling filters (R)
    conv_clamp: float = 256.0  # activations are clamped to +-this
    mapping_layers: int = 2  # layers of the mapping network

    def __post_init__(self) -> None:
        _require_ranges(self)
        _require(
            self.num_layers > self.num_critical,
            f"num_layers is {self.num_layers}; it must exceed num_critical ({self.num_critical}).",
        )
        _require(
            0 < self.first_cutoff < self.img_resolution / 2,
            f"first_cutoff is {self.first_cutoff}; it must lie between 0 and img_resolution / 2.",
        )
        _require(
            self.first_stopband > self.first_cutoff,
            f"first_stopband is {self.first_stopband}; it must exceed first_cutoff.",
        )
        _require(
            self.conv_kernel in (1, 3), f"conv_kernel is {self.conv_kernel}; it must be 1 or 3."
        )

    @property
    def num_ws(self) -> int:
        """Number of latents one picture takes: Fourier input, layers, RGB layer."""
        return self.num_layers + 2

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, fit for JSON and for `GeneratorConfig(**values)`."""
        return asdict(self)


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Residual discriminator of StyleGAN2 (Karras et al. 2020), used unchanged by StyleGAN3.

    Raises:
        ConfigError: a value is out of range.
    """

    c_dim: int = 0  # length of the class label, 0 = unconditional
    img_resolution: int = 256  # pixels, a power of two
    img_channels: int = 3  # colours
    channel_base: int = 32768  # channels x resolution, roughly
    channel_max: int = 512  # most channels of any block
    conv_clamp: float = 256.0  # activations are clamped to +-this x gain
    mbstd_group_size: int = 4  # samples per group of the minibatch standard deviation
    mbstd_num_channels: int = 1  # channels it adds

    def __post_init__(self) -> None:
        _require_ranges(self)

    def channels(self, resolution: int) -> int:
        """Return the number of channels at a resolution."""
        return max(min(self.channel_base // resolution, self.channel_max), 1)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, fit for JSON and for `DiscriminatorConfig(**values)`."""
        return asdict(self)
