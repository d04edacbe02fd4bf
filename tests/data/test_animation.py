"""Animated WebP files, read back by Pillow."""

import numpy as np
import pytest
from PIL import Image

from data.animation import save_webp


def moving_bar(side: int, count: int) -> list[np.ndarray]:
    frames = np.full((count, side, side, 3), (20, 60, 200), np.uint8)
    for k, frame in enumerate(frames):
        frame[:, k * side // count : (k + 1) * side // count] = (220, 40, 30)
    return list(frames)


def frames_of(path) -> list[np.ndarray]:
    with Image.open(path) as film:
        return [np.asarray((film.seek(k), film.convert("RGB"))[1]) for k in range(film.n_frames)]


def durations_of(path) -> list[int]:
    """Walk the chunks: each ANMF has 24 bits of milliseconds at offset 12 of its payload."""
    data, at, found = path.read_bytes(), 12, []
    while at < len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        if data[at : at + 4] == b"ANMF":
            found.append(int.from_bytes(data[at + 20 : at + 23], "little"))
        at += 8 + size + size % 2
    return found


def test_small_films_keep_every_pixel_and_loop(tmp_path) -> None:
    frames, path = moving_bar(64, 8), tmp_path / "a.webp"
    save_webp(path, frames, fps=30)
    assert all(map(np.array_equal, frames_of(path), frames))
    with Image.open(path) as film:
        assert (film.format, film.n_frames, film.size) == ("WEBP", 8, (64, 64))
        assert film.info["loop"] == 0  # for ever


def test_large_films_are_nearly_right_and_much_smaller(tmp_path) -> None:
    rng = np.random.default_rng(0)
    grain = rng.integers(0, 20, (4, 160, 160, 1), dtype=np.uint8)
    frames = [bar + noise for bar, noise in zip(moving_bar(160, 4), grain, strict=True)]
    save_webp(tmp_path / "a.webp", frames, fps=30)
    for found, frame in zip(frames_of(tmp_path / "a.webp"), frames, strict=True):
        assert np.abs(found.astype(int) - frame).mean() < 5
    first, *rest = map(Image.fromarray, frames)
    first.save(tmp_path / "b.webp", save_all=True, append_images=rest, lossless=True)
    sizes = [(tmp_path / name).stat().st_size for name in ("a.webp", "b.webp")]
    assert sizes[0] < 0.6 * sizes[1], sizes


@pytest.mark.parametrize("fps", [1, 24, 30, 60])
def test_rounding_to_milliseconds_does_not_add_up(tmp_path, fps: int) -> None:
    path = tmp_path / "a.webp"
    save_webp(path, moving_bar(32, 32), fps)
    durations = durations_of(path)
    assert len(durations) == 32 and abs(sum(durations) - 32_000 / fps) <= 0.5
    assert max(durations) - min(durations) <= 1


def test_the_same_frames_give_the_same_bytes(tmp_path) -> None:
    for name in ("a.webp", "b.webp"):
        save_webp(tmp_path / name, moving_bar(48, 5), fps=24)
    assert (tmp_path / "a.webp").read_bytes() == (tmp_path / "b.webp").read_bytes()
