"""The hostile corpus: pictures that must be refused, and odd ones that must be understood.

Everything is made here, from bytes where Pillow would refuse to write it; nothing is kept in git.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

# error code -> exit code, by the contract (reliability section 2), not by runtime's table
EXIT_CODES = {"E-IMG-MISSING": 66, "E-IMG-DIR": 66, "E-IMG-PERM": 77}
BAD_DATA = 65


def face_like(height: int = 32, width: int = 32, channels: int = 3) -> np.ndarray:
    """Return a smooth uint8 [H, W, C] pattern with detail everywhere and no symmetry."""
    y, x = np.mgrid[:height, :width].astype(float)
    waves = [128 + 90 * np.sin(x / (3 + c) + y / 5 + c) * np.cos(y / (4 + c)) for c in range(3)]
    return np.stack(waves[:channels], axis=2).round().astype(np.uint8)


def encoded(array_or_image: np.ndarray | Image.Image, kind: str, **options: object) -> bytes:
    """Encode with Pillow."""
    image = array_or_image
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image[:, :, 0] if image.shape[2:] == (1,) else image)
    image.save(buffer := io.BytesIO(), kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes, crc: int | None = None) -> bytes:
    """Return a PNG chunk, with its right checksum unless another is given."""
    crc = zlib.crc32(kind + data) if crc is None else crc
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)


def png(
    width: int,
    height: int,
    depth: int,
    colour: int,
    rows: bytes,
    extra: bytes = b"",
    idat: Callable[[bytes], bytes] = lambda rows: chunk(b"IDAT", zlib.compress(rows, 9)),
) -> bytes:
    """Return a PNG made by hand; `rows` begin with their filter byte, `extra` are more chunks."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + extra + idat(rows) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def png_rows(array: np.ndarray) -> bytes:
    """Return the unfiltered rows of uint8 or uint16 [H, W, C] (16-bit PNG is big-endian)."""
    big_endian = array.astype(array.dtype.newbyteorder(">")).reshape(len(array), -1)
    return b"".join(b"\0" + row.tobytes() for row in big_endian)


def broken_pngs() -> dict[str, tuple[bytes, str]]:
    grey = face_like(channels=1)
    rows, good = png_rows(grey), encoded(grey, "PNG")
    stream, idat = zlib.compress(rows), good.index(b"IDAT")
    flipped = bytearray(good)
    flipped[idat + 30] ^= 4

    def custom(idat: Callable[[bytes], bytes], extra: bytes = b"") -> bytes:
        return png(32, 32, 8, 0, rows, extra, idat)

    return {
        "signature_only.png": (good[:8], "E-IMG-TRUNC"),
        "header_cut.png": (good[:20], "E-IMG-TRUNC"),
        "body_cut.png": (good[: len(good) // 2], "E-IMG-TRUNC"),
        "end_chunk_missing.png": (good[:-12], "E-IMG-TRUNC"),
        "last_byte_missing.png": (good[:-1], "E-IMG-TRUNC"),
        "short_stream.png": (custom(lambda r: chunk(b"IDAT", stream[:100])), "E-IMG-TRUNC"),
        "not_a_stream.png": (custom(lambda r: chunk(b"IDAT", b"\x55" * 300)), "E-IMG-TRUNC"),
        "no_pixels.png": (custom(lambda r: b""), "E-IMG-TRUNC"),
        "bit_flip.png": (bytes(flipped), "E-IMG-CRC"),
        "idat_crc.png": (custom(lambda r: chunk(b"IDAT", stream, crc=1)), "E-IMG-CRC"),
        "header_crc.png": (good[:29] + b"\0\0\0\0" + good[33:], "E-IMG-CRC"),
        "text_crc.png": (png(32, 32, 8, 0, rows, chunk(b"tEXt", b"a\0b", 5)), "E-IMG-CRC"),
        "zero_size.png": (png(0, 0, 8, 0, b""), "E-IMG-TRUNC"),
        "bad_depth.png": (png(32, 32, 7, 0, rows), "E-IMG-TRUNC"),
        "text_bomb.png": (png(32, 32, 8, 0, rows, text_bomb(b"zTXt", b"a\0\0")), "E-IMG-SIZE"),
        "itxt_bomb.png": (
            png(32, 32, 8, 0, rows, text_bomb(b"iTXt", b"a\0\1\0\0\0")),
            "E-IMG-SIZE",
        ),
    }


def text_bomb(kind: bytes, header: bytes) -> bytes:
    """Return a text chunk of 50 KB that unpacks to 50 MB."""
    return chunk(kind, header + zlib.compress(bytes(50_000_000), 9))


def bombs() -> dict[str, tuple[bytes, str]]:
    """Return small files that claim, or hold, far too many pixels."""
    one_bit = (b"\0" + bytes(1500)) * 12_000
    gif = b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0x80, 0, 0) + bytes(6)
    gif += b"," + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0) + b"\x02\x02D\x01\0;"
    bmp = encoded(face_like(), "BMP")
    huge_bmp = bmp[:18] + struct.pack("<ii", 30_000, 30_000) + bmp[26:]
    tiff = bytearray(encoded(face_like(channels=1), "TIFF"))
    for tag in (256, 257):  # width, height: LONG, one value
        at = tiff.index(struct.pack("<HHI", tag, 4, 1))
        tiff[at + 8 : at + 12] = struct.pack("<I", 40_000)
    scans = encoded(np.zeros((64, 64), np.uint8), "JPEG", progressive=True)
    last_scan = scans[scans.rindex(b"\xff\xda") : -2]
    return {
        "sides_2e31.png": (png(2**31 - 1, 2**31 - 1, 8, 0, b"\0"), "E-IMG-SIZE"),
        "sides_30000.png": (png(30_000, 30_000, 8, 2, b"\0"), "E-IMG-SIZE"),
        "one_bit_12000.png": (png(12_000, 12_000, 1, 0, one_bit), "E-IMG-SIZE"),
        "area.png": (encoded(Image.new("1", (5001, 5000)), "PNG"), "E-IMG-SIZE"),
        "side_8193.png": (encoded(Image.new("L", (8193, 300)), "PNG"), "E-IMG-SIZE"),
        "webp_27_million.webp": (
            encoded(Image.new("RGB", (9000, 3000)), "WEBP", lossless=True, method=0),
            "E-IMG-SIZE",
        ),
        "gif_65535.gif": (gif, "E-IMG-SIZE"),
        "bmp_30000.bmp": (huge_bmp, "E-IMG-SIZE"),
        "tiff_40000.tif": (bytes(tiff), "E-IMG-SIZE"),
        "jpeg_scans.jpg": (scans[:-2] + last_scan * 2000 + scans[-2:], "E-IMG-SIZE"),
        "large_file.bmp": (bmp + bytes(33 * 2**20), "E-IMG-SIZE"),
    }


def wrong_sizes() -> dict[str, tuple[bytes, str]]:
    sizes = {(1, 1): "SMALL", (1, 64): "SMALL", (64, 7): "SMALL", (20_000, 1): "SMALL"}
    sizes |= {(8, 257): "SIZE", (257, 8): "SIZE"}
    return {
        f"{w}x{h}.png": (encoded(Image.new("L", (w, h)), "PNG"), f"E-IMG-{code}")
        for (w, h), code in sizes.items()
    }


def other_formats() -> dict[str, tuple[bytes, str]]:
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 32 32\n%%EndComments\nshowpage\n%%EOF\n"
    svg = b"<svg xmlns='http://www.w3.org/2000/svg' width='32' height='32'><script/></svg>"
    cards = ("SIMPLE  =                    T", "BITPIX  =                    8")
    cards += ("NAXIS   =                    2", "NAXIS1  =                   32")
    cards += ("NAXIS2  =                   32", "END")
    fits = "".join(c.ljust(80) for c in cards).ljust(2880).encode() + bytes(2880)
    contents = {
        "empty": b"",
        "text": b"This is not a picture.\n",
        "html_404": b"<!DOCTYPE html><html><title>404 Not Found</title></html>",
        "noise": np.random.default_rng(0).bytes(5000),
        "eps": eps,
        "svg": svg,
        "fits": fits,
        "pdf": b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n",
        "ico": encoded(face_like(), "ICO"),
        "ppm": encoded(face_like(), "PPM"),
        "zip": b"PK\5\6" + bytes(18),
        "executable": b"\x7fELF" + bytes(200),
    }
    return {f"{name}.png": (data, "E-IMG-UNKNOWN") for name, data in contents.items()}


def cut_files() -> dict[str, tuple[bytes, str]]:
    picture, cut = face_like(64, 64), {}
    for kind in ("JPEG", "WEBP", "BMP", "TIFF"):
        data = encoded(picture, kind)
        for name, keep in (("half", len(data) // 2), ("head", 24)):
            cut[f"{name}.{kind.lower()}"] = (data[:keep], "E-IMG-TRUNC")
    gif = encoded(picture, "GIF")
    return {**cut, "head.gif": (gif[:10], "E-IMG-TRUNC"), "half.gif": (gif[:1800], "E-IMG-TRUNC")}


def wrong_values() -> dict[str, tuple[bytes, str]]:
    ramp = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    not_a_number, infinite, hdr, negative = (ramp.copy() for _ in range(4))
    not_a_number[3, 4], infinite[3, 4], hdr[3, 4], negative[3, 4] = np.nan, np.inf, 1.01, -0.01
    floats = {"nan": not_a_number, "inf": infinite, "hdr": hdr, "negative": negative}
    integers = np.arange(256, dtype=np.int32).reshape(16, 16) * 1000
    arrays = {**floats, "int32": integers, "int32_negative": integers - 5000}
    return {f"{n}.tif": (encoded(a, "TIFF"), "E-IMG-VALUE") for n, a in arrays.items()}


def bad_files() -> dict[str, tuple[bytes, str]]:
    """Return file name -> (content, error code) of every picture that must be refused."""
    parts = (broken_pngs(), bombs(), wrong_sizes(), other_formats(), cut_files(), wrong_values())
    return {name: row for part in parts for name, row in part.items()}


def bad_paths(folder: Path) -> dict[Path, str]:
    """Make and return paths that are no readable file -> error code."""
    (folder / "folder.png").mkdir()
    (folder / "dangling.png").symlink_to("nowhere.png")
    (folder / "loop.png").symlink_to("loop.png")
    os.mkfifo(folder / "fifo.png")
    secret = folder / "secret.png"
    secret.write_bytes(encoded(face_like(), "PNG"))
    secret.chmod(0)
    missing = [folder / n for n in ("missing.png", "dangling.png", "loop.png", "x" * 300)]
    missing.append(secret / "below_a_file.png")
    paths = {path: "E-IMG-MISSING" for path in missing}
    paths |= {folder / "folder.png": "E-IMG-DIR", folder / "fifo.png": "E-IMG-TYPE"}
    paths |= {Path("/dev/zero"): "E-IMG-TYPE"}
    if not os.access(secret, os.R_OK):  # root may read everything
        paths[secret] = "E-IMG-PERM"
    return paths


def bad_images(folder: Path) -> list[tuple[Path, str]]:
    """Write the whole corpus into `folder`; return (path, error code) of each."""
    rows = []
    for name, (data, code) in bad_files().items():
        (folder / name).write_bytes(data)
        rows.append((folder / name, code))
    return rows + list(bad_paths(folder).items())


def bad_corpus(folder: Path) -> list[tuple[Path, int]]:
    """Write the whole corpus into `folder`; return (path, exit code a verb must leave with)."""
    return [(path, EXIT_CODES.get(code, BAD_DATA)) for path, code in bad_images(folder)]
