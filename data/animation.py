"""Moving pictures on disk."""

from pathlib import Path

import numpy as np
from PIL import Image

LOSSLESS_SIDE = 128  # lossy WebP stores colour at half the resolution, which small pictures show
QUALITY = 90  # of larger ones: an eighth of the bytes of a lossless file


def save_webp(path: Path, frames: list[np.ndarray], fps: float) -> None:
    """Write frames, uint8 `[H, W, 3]`, as an animated WebP that loops for ever.

    Frames of at most 128 pixels a side keep every value. The same frames give the same bytes.
    Each frame lasts whole milliseconds, and what one loses by that the next gains.
    """
    first, *rest = [Image.fromarray(frame) for frame in frames]
    ends = np.rint(np.arange(len(frames) + 1) * 1000 / fps).astype(int)
    first.save(
        path,
        "WEBP",
        save_all=True,
        append_images=rest,
        duration=np.diff(ends).tolist(),
        loop=0,
        lossless=max(first.size) <= LOSSLESS_SIDE,
        quality=QUALITY,
    )


def save_apng(path: Path, frames: list[np.ndarray], fps: float, pause: float) -> None:
    """Write frames, uint8 `[H, W, 3]`, as an animated PNG that keeps every value and loops.

    The last frame stays for `pause` seconds. Programs that know no animation show the first.
    """
    first, *rest = [Image.fromarray(frame) for frame in frames]
    durations = [*[1000 / fps] * len(rest), 1000 * pause]
    first.save(path, "PNG", save_all=True, append_images=rest, duration=durations, loop=0)
