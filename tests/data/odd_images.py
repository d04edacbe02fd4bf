"""Pictures that are valid but odd, each with the pixels and the note that are right for it.

The expected pixels come from arithmetic on the stored numbers, never from another decoder.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms

from tests.data.bad_images import chunk, encoded, face_like, png, png_rows


class Odd(NamedTuple):
    data: bytes
    pixels: np.ndarray  # [H, W, C], 0..255: what load_image must give
    note: str | None  # part of the note that must be among the notes; None: no note at all
    tolerance: float = 1e-4


def deep_pictures() -> dict[str, Odd]:
    """16-bit and float samples."""
    ramp = np.linspace(0, 65535, 32 * 32).round().astype(np.uint16).reshape(32, 32, 1)
    colour = np.stack([ramp[..., 0], ramp[::-1, :, 0], ramp.T[0]], axis=2)
    little, floats = Image.fromarray(ramp[..., 0]), (ramp[..., 0] / 65535).astype(np.float32)
    big = Image.frombytes("I;16B", (32, 32), ramp[..., 0].astype(">u2").tobytes())
    keyed = ramp.copy() / 257
    keyed[5, 7] = 255
    key = chunk(b"tRNS", struct.pack(">H", ramp[5, 7, 0]))
    keyed_colour = colour.copy()
    keyed_colour[9, 4] = (1000, 40000, 300)  # one of a kind, in its high bytes too
    colour_key = chunk(b"tRNS", struct.pack(">HHH", *keyed_colour[9, 4]))
    keyed_seen = keyed_colour / 257
    keyed_seen[9, 4] = 255
    note, rgb = "16-bit grey was scaled", "16-bit colour was reduced"
    alpha = np.concatenate([colour, ramp[:, ::-1]], axis=2)
    over_white = 255 + (colour / 257 - 255) * (ramp[:, ::-1] / 65535)
    return {
        "grey16.png": Odd(png(32, 32, 16, 0, png_rows(ramp)), ramp / 257, note),
        "grey16_little.tif": Odd(encoded(little, "TIFF"), ramp / 257, note),
        "grey16_big.tif": Odd(encoded(big, "TIFF"), ramp / 257, note),
        "grey16_key.png": Odd(png(32, 32, 16, 0, png_rows(ramp), key), keyed, "made white"),
        "int32.tif": Odd(encoded(ramp[..., 0].astype(np.int32), "TIFF"), ramp / 257, note),
        "rgb16.png": Odd(png(32, 32, 16, 2, png_rows(colour)), colour / 257, rgb, 1.0),
        "rgb16_key.png": Odd(
            png(32, 32, 16, 2, png_rows(keyed_colour), colour_key), keyed_seen, "over white", 1.0
        ),
        "rgba16.png": Odd(png(32, 32, 16, 6, png_rows(alpha)), over_white, rgb, 2.0),
        "float.tif": Odd(encoded(floats, "TIFF"), floats[..., None] * 255.0, "float samples"),
    }


def transparent_pictures() -> dict[str, Odd]:
    picture, note = face_like(), "composited over white"
    alpha = np.arange(32 * 32).reshape(32, 32, 1) * 255 // 1023
    over_white = 255 + (picture - 255.0) * (alpha / 255)
    grey = picture[:, :, :1]
    rgba = np.concatenate([picture, alpha], axis=2).astype(np.uint8)
    la = np.concatenate([grey, alpha], axis=2).astype(np.uint8)
    solid = np.concatenate([picture, np.full_like(alpha, 255)], axis=2).astype(np.uint8)
    grey_keyed = np.where(grey == grey[3, 3], 255, grey)
    key = chunk(b"tRNS", struct.pack(">H", grey[3, 3, 0]))
    colour_keyed = np.where((picture == picture[4, 9]).all(axis=2, keepdims=True), 255, picture)
    colour_key = chunk(b"tRNS", struct.pack(">HHH", *picture[4, 9]))
    return {
        "rgba.png": Odd(png(32, 32, 8, 6, png_rows(rgba)), over_white, note),
        "rgba.tif": Odd(encoded(rgba, "TIFF"), over_white, note),
        "rgba.webp": Odd(encoded(rgba, "WEBP", lossless=True, exact=True), over_white, note),
        "la.png": Odd(png(32, 32, 8, 4, png_rows(la)), over_white[:, :, :1], note),
        "opaque.png": Odd(png(32, 32, 8, 6, png_rows(solid)), picture, "opaque alpha"),
        "grey_key.png": Odd(png(32, 32, 8, 0, png_rows(grey), key), grey_keyed, note),
        "rgb_key.png": Odd(png(32, 32, 8, 2, png_rows(picture), colour_key), colour_keyed, note),
    }


def indexed_pictures() -> dict[str, Odd]:
    index = np.random.default_rng(1).integers(0, 16, (32, 32, 1))
    palette = np.random.default_rng(2).integers(0, 256, (16, 3))
    alpha = np.linspace(0, 255, 16).round().astype(int)
    plte = chunk(b"PLTE", palette.astype(np.uint8).tobytes())
    trns = chunk(b"tRNS", alpha.astype(np.uint8).tobytes())
    packed = (index[:, ::2] * 16 + index[:, 1::2]).astype(np.uint8)
    colours, weight = palette[index[..., 0]], alpha[index] / 255
    over_white = 255 + (colours - 255.0) * weight
    bits = (index > 7).astype(np.uint8)
    one_bit = np.packbits(bits[..., 0], axis=1)[..., None]
    as_gif = Image.fromarray(index[..., 0].astype(np.uint8), "P")
    as_gif.putpalette(palette.astype(np.uint8).tobytes())
    with_hole = np.where(index == 3, 255, colours)
    return {
        "palette.png": Odd(png(32, 32, 4, 3, png_rows(packed), plte), colours, "palette pixels"),
        "palette.gif": Odd(encoded(as_gif, "GIF"), colours, "palette pixels"),
        "palette_trns.png": Odd(
            png(32, 32, 4, 3, png_rows(packed), plte + trns), over_white, "over white"
        ),
        "transparent.gif": Odd(encoded(as_gif, "GIF", transparency=3), with_hole, "over white"),
        "one_bit.png": Odd(png(32, 32, 1, 0, png_rows(one_bit)), bits * 255.0, "1-bit"),
        "grey4.png": Odd(png(32, 32, 4, 0, png_rows(packed)), index * 17.0, None),
    }


def other_colours() -> dict[str, Odd]:
    inks = face_like(channels=3)
    black = face_like()[:, ::-1, :1] // 2
    cmyk = np.concatenate([inks, black], axis=2)
    rgb = (255.0 - inks) * (255 - black) / 255
    as_cmyk = Image.frombytes("CMYK", (32, 32), cmyk.tobytes())
    luma, cb, cr = np.moveaxis(96 + inks / 4.0, 2, 0).round()
    jfif = [
        luma + 1.402 * (cr - 128),
        luma - 0.344136 * (cb - 128) - 0.714136 * (cr - 128),
        luma + 1.772 * (cb - 128),
    ]
    stored = np.stack([luma, cb, cr], axis=2).astype(np.uint8)
    as_ycbcr = Image.frombytes("YCbCr", (32, 32), stored.tobytes())
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    constant = np.full((16, 16, 1), 7)
    grey_as_rgb = np.repeat(inks[:, :, :1], 3, axis=2)
    return {
        "cmyk.tif": Odd(encoded(as_cmyk, "TIFF"), rgb, "CMYK", 1.0),
        "cmyk.jpg": Odd(encoded(as_cmyk, "JPEG", quality=100), rgb, "CMYK", 8.0),
        "ycbcr.tif": Odd(encoded(as_ycbcr, "TIFF"), np.stack(jfif, axis=2), "YCbCr", 2.0),
        "icc.png": Odd(encoded(inks, "PNG", icc_profile=profile), inks, "colour profile"),
        "grey_as_rgb.png": Odd(png(32, 32, 8, 2, png_rows(grey_as_rgb)), inks[:, :, :1], None),
        "plain.bmp": Odd(encoded(inks, "BMP"), inks, None),
        "jpeg_named.png": Odd(encoded(inks, "JPEG", quality=100, subsampling=0), inks, None, 4.0),
        "constant.png": Odd(png(16, 16, 8, 0, (b"\0" + b"\7" * 16) * 16), constant, None),
    }


def animations() -> dict[str, Odd]:
    first, second = face_like(), face_like()[::-1]
    frames = dict(save_all=True, append_images=[Image.fromarray(second)])
    palette = Image.fromarray(first[:, :, 0])  # a grey GIF is exact
    gif = encoded(palette, "GIF", save_all=True, append_images=[Image.fromarray(second[:, :, 1])])
    note = "the first was taken"
    return {
        "animated.png": Odd(encoded(first, "PNG", **frames), first, note),
        "animated.webp": Odd(encoded(first, "WEBP", lossless=True, **frames), first, note),
        "animated.gif": Odd(gif, first[:, :, :1], note),
        "pages.tif": Odd(encoded(first, "TIFF", **frames), first, note),
    }


def turned_pictures() -> dict[str, Odd]:
    """EXIF orientations: the stored picture, and how it is meant to be seen."""
    picture = face_like(16, 24)
    seen = {
        2: picture[:, ::-1],
        3: picture[::-1, ::-1],
        4: picture[::-1],
        5: picture.transpose(1, 0, 2),
        6: np.rot90(picture, -1),
        7: np.rot90(picture, 2).transpose(1, 0, 2),
        8: np.rot90(picture),
    }
    files = {}
    for orientation, pixels in seen.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        for kind, options in (("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True})):
            data = encoded(picture, kind, exif=exif, **options)
            files[f"turned_{orientation}.{kind.lower()}"] = Odd(data, pixels, "as its EXIF data")
    nonsense = chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\x09\0\0\0\0\0\0")
    plain = png(24, 16, 8, 2, png_rows(picture), nonsense)
    return {**files, "turned_9.png": Odd(plain, picture, None)}


def odd_files() -> dict[str, Odd]:
    """Return file name -> content, pixels and note of every odd picture."""
    parts = (deep_pictures(), transparent_pictures(), indexed_pictures(), other_colours())
    parts += (animations(), turned_pictures())
    return {name: odd for part in parts for name, odd in part.items()}


def odd_names(folder: Path) -> list[Path]:
    """Write one good picture under names that have broken other programs."""
    data = encoded(face_like(channels=1), "PNG")
    names = [
        b"a\nb\x1b[31m.png",
        b"-rf.png",
        b"x" * 251 + b".png",
        b"\xff\xfe.png",
        b"%s {0} '\".png",
    ]
    paths = [folder / os.fsdecode(name) for name in names]
    for path in paths:
        path.write_bytes(data)
    return paths


def odd_corpus(folder: Path) -> list[tuple[Path, str | None]]:
    """Write all of them; return (path, part of the note it must cause, None for none)."""
    rows: list[tuple[Path, str | None]] = []
    for name, odd in odd_files().items():
        (folder / name).write_bytes(odd.data)
        rows.append((folder / name, odd.note))
    return rows + [(path, None) for path in odd_names(folder)]
