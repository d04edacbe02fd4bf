"""Cutoffs, sampling rates and low-pass filters of StyleGAN3 (Karras et al. 2021, section 3.2)."""

from dataclasses import dataclass

import numpy as np
from scipy.signal import firwin, kaiser_atten, kaiser_beta
from scipy.special import j1

from stylegan.config import GeneratorConfig


@dataclass(frozen=True)
class PlanEntry:
    """One signal of the synthesis network. Frequencies are per image width."""

    cutoff: float  # f_c, cycles
    half_width: float  # f_h, half the transition band, cycles
    sampling_rate: int  # s, samples
    size: int  # samples per side, margins included
    channels: int


@dataclass(frozen=True)
class LayerGeometry:
    """How one synthesis layer takes its input signal to its output signal."""

    index: int
    source: PlanEntry
    target: PlanEntry
    conv_kernel: int
    up: int  # factor of the temporary upsampling
    down: int
    up_taps: int  # 1 = no filter
    down_taps: int
    padding: tuple[int, int, int, int]  # [x0, x1, y0, y1] at the upsampled rate, negative = crop
    tmp_sampling_rate: int
    is_rgb: bool
    is_radial: bool  # downsampling filter is rotation invariant

    def up_filter(self) -> np.ndarray | None:
        """Return the upsampling filter `[up_taps]`, or None."""
        source = self.source
        return lowpass(self.up_taps, source.cutoff, 2 * source.half_width, self.tmp_sampling_rate)

    def down_filter(self) -> np.ndarray | None:
        """Return the downsampling filter `[down_taps]` or, radial, `[down_taps, down_taps]`."""
        design = radial_lowpass if self.is_radial else lowpass
        target = self.target
        return design(self.down_taps, target.cutoff, 2 * target.half_width, self.tmp_sampling_rate)


def lowpass(taps: int, cutoff: float, width: float, sampling_rate: float) -> np.ndarray | None:
    """Design a Kaiser-windowed low-pass filter; `taps == 1` needs none."""
    if taps == 1:
        return None
    return firwin(taps, cutoff, width=width, fs=sampling_rate)


def radial_lowpass(
    taps: int, cutoff: float, width: float, sampling_rate: float
) -> np.ndarray | None:
    """Design a rotation-invariant filter: jinc times a separable Kaiser window (appendix C)."""
    if taps == 1:
        return None
    t = (np.arange(taps) - (taps - 1) / 2) / sampling_rate
    radius = np.hypot(*np.meshgrid(t, t))
    centre = radius == 0
    safe_radius = np.where(centre, 1, radius)
    jinc = np.where(centre, cutoff, j1(2 * np.pi * cutoff * safe_radius) / (np.pi * safe_radius))
    beta = kaiser_beta(kaiser_atten(taps, width / (sampling_rate / 2)))
    f = jinc * np.outer(np.kaiser(taps, beta), np.kaiser(taps, beta))
    return f / f.sum()


def plan_signals(config: GeneratorConfig) -> list[PlanEntry]:
    """Return the `num_layers + 1` signals: cutoffs and stopbands grow geometrically.

    `f_c = first_cutoff (R/2 / first_cutoff)^e` with `e = min(i / (N - num_critical), 1)`, the
    stopband likewise; the sampling rate is the power of two that holds the stopband.
    """
    resolution, num_layers = config.img_resolution, config.num_layers
    e = np.minimum(np.arange(num_layers + 1) / (num_layers - config.num_critical), 1)
    cutoffs = config.first_cutoff * (resolution / 2 / config.first_cutoff) ** e
    last_stopband = resolution / 2 * config.last_stopband_rel
    stopbands = config.first_stopband * (last_stopband / config.first_stopband) ** e
    rates = np.exp2(np.ceil(np.log2(np.minimum(stopbands * 2, resolution))))
    half_widths = np.maximum(stopbands, rates / 2) - cutoffs
    sizes = rates + 2 * config.margin_size
    sizes[-2:] = resolution
    channels = np.rint(np.minimum(config.channel_base / 2 / cutoffs, config.channel_max))
    channels = np.maximum(channels, 1)
    channels[-1] = config.img_channels
    columns = (cutoffs, half_widths, rates.astype(int), sizes.astype(int), channels.astype(int))
    return [PlanEntry(*(column.item() for column in row)) for row in zip(*columns, strict=True)]


def _geometry(
    config: GeneratorConfig, index: int, source: PlanEntry, target: PlanEntry
) -> LayerGeometry:
    is_rgb = index == config.num_layers
    is_critical = index >= config.num_layers - config.num_critical
    kernel = 1 if is_rgb else config.conv_kernel
    rate = max(source.sampling_rate, target.sampling_rate)
    rate *= 1 if is_rgb else config.lrelu_upsampling
    up, down = rate // source.sampling_rate, rate // target.sampling_rate
    up_taps = 1 if up == 1 or is_rgb else config.filter_size * up
    down_taps = 1 if down == 1 or is_rgb else config.filter_size * down
    total = (target.size - 1) * down + 1 - (source.size + kernel - 1) * up
    total += up_taps + down_taps - 2
    before = (total + up) // 2
    return LayerGeometry(
        index=index,
        source=source,
        target=target,
        conv_kernel=kernel,
        up=up,
        down=down,
        up_taps=up_taps,
        down_taps=down_taps,
        padding=(before, total - before, before, total - before),
        tmp_sampling_rate=rate,
        is_rgb=is_rgb,
        is_radial=config.use_radial_filters and not is_critical,
    )


def plan_layers(config: GeneratorConfig) -> list[LayerGeometry]:
    """Return the geometry of all `num_layers + 1` synthesis layers; the last one makes RGB."""
    signals = plan_signals(config)
    sources = [signals[0], *signals[:-1]]
    return [
        _geometry(config, index, source, target)
        for index, (source, target) in enumerate(zip(sources, signals, strict=True))
    ]
