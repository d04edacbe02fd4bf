"""A generator small enough for tests, and the measurement by Pillow and numpy alone."""

import numpy as np
import torch
from PIL import Image

from stylegan import Generator, GeneratorConfig

LUMA = np.array([0.299, 0.587, 0.114])
SIDE = 32
CONFIG = dict(
    img_resolution=SIDE,
    channel_base=256,
    channel_max=8,
    num_layers=5,
    z_dim=16,
    w_dim=16,
    margin_size=4,
    first_cutoff=2,
    first_stopband=4,
    output_scale=1.0,
)


def tiny_generator(seed: int = 0, **changes: object) -> Generator:
    """Return a generator of random weights whose pictures use most of the range."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        G = Generator(GeneratorConfig(**{**CONFIG, **changes}))
    return G.eval().requires_grad_(False)


def picture_of(G: Generator, seed: int) -> np.ndarray:
    """Return one picture of G as a PNG would hold it, uint8 [R, R, 3]."""
    z = torch.randn(1, G.config.z_dim, generator=torch.Generator().manual_seed(seed))
    levels = (G(z)[0].permute(1, 2, 0).double().numpy() + 1) * 127.5
    return np.clip(np.round(levels), 0, 255).astype(np.uint8)


def resize(grey: np.ndarray, side: int) -> np.ndarray:
    """Resize [h, w] by Pillow in floating point (mode F, bicubic)."""
    image = Image.fromarray(grey.astype(np.float32))
    return np.asarray(image.resize((side, side), Image.Resampling.BICUBIC)).astype(np.float64)


def measured(picture: np.ndarray, side: int) -> np.ndarray:
    """Make [R, R, 3] grey and small, in the picture's own scale, neither clipped nor rounded."""
    return resize(picture.astype(np.float64) @ LUMA, side)


def as_file(levels: np.ndarray) -> np.ndarray:
    """Round levels to what an 8-bit file holds."""
    return np.clip(np.round(levels), 0, 255).astype(np.uint8)


def as_measurement(levels: np.ndarray) -> torch.Tensor:
    """Scale levels [h, w] to y [1, 1, h, w] in [-1, 1]."""
    return torch.from_numpy(levels.astype(np.float64) / 127.5 - 1).float()[None, None]
