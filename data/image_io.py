"""Pictures on disk to arrays and back: the one decoder, the one 8-bit conversion.

Files are hostile until proven otherwise: the format list is short, sizes are judged in the header
before a pixel is decoded, PNG checksums are verified, and whatever Pillow raises on damaged bytes
becomes one `ImageError`. Nothing is repaired silently: every change of the input is a note.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps, PngImagePlugin

if TYPE_CHECKING:  # torch takes seconds to import, and usage errors must not wait for it
    from torch import Tensor

StrPath = str | os.PathLike[str]
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
MIN_SIDE, MAX_SIDE = 8, 8192  # pixels
MAX_PIXELS, MAX_ASPECT = 25_000_000, 32
MAX_FILE_BYTES = 32 * 2**20
MAX_JPEG_SCANS = 1000  # each one costs a pass over all pixels; ordinary files have ten
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, applied to the coded values

_PNG_SIGNATURE, _JPEG_SIGNATURE = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_SIGNATURES = (_PNG_SIGNATURE, _JPEG_SIGNATURE, b"BM", b"II*\0", b"MM\0*", b"GIF8")
_REEXPORT = "Export it again as an 8-bit PNG"
_CONVERTED = {"1": "1-bit", "P": "palette", "PA": "palette", "CMYK": "CMYK", "YCbCr": "YCbCr"}
_CONVERTED |= {"LAB": "Lab", "La": "premultiplied", "RGBa": "premultiplied"}
# Pillow's remarks, once and for all: `catch_warnings` at each picture would race with threads
warnings.filterwarnings("ignore", module=r"PIL\.")


class ImageError(ValueError):
    """A picture cannot be used. `code` is the error code, `str(e)` the whole sentence."""

    def __init__(self, code: str, subject: str, what: str, remedy: str) -> None:
        super().__init__(f"{subject}: {what}. {remedy}.")
        self.code = code


@dataclass(frozen=True)
class LoadedImage:
    """A decoded picture."""

    pixels: np.ndarray  # float32 [H, W, C] in 0..255; C = 1 where every pixel is grey, else 3
    notes: tuple[str, ...]  # one for each thing changed on the way
    sha256: str  # of the file's bytes
    mode: str  # Pillow's name for the stored pixel format


class Measurement(NamedTuple):
    """A picture as the measurement y."""

    y: Tensor  # float32 [1, channels, h, w] in [-1, 1]
    notes: tuple[str, ...]
    sha256: str


def load_image(path: StrPath) -> LoadedImage:
    """Read a picture file.

    Raises: ImageError, as `decode_image`, or E-IMG-MISSING, -PERM, -DIR, -TYPE or -IO.
    """
    return decode_image(_read_file(Path(path)), os.fspath(path))


def load_measurement(path: StrPath, channels: int = 1) -> Measurement:
    """Read a picture as y = v / 127.5 - 1; of one channel, v = 0.299 R + 0.587 G + 0.114 B."""
    import torch

    image = load_image(path)
    pixels, notes = image.pixels, list(image.notes)
    if pixels.shape[2] > channels:
        pixels = pixels @ np.array(LUMA, np.float32)[:, None]  # [h, w, 1]
        notes.append("colour was turned to grey (0.299 R + 0.587 G + 0.114 B)")
    elif pixels.shape[2] < channels:
        notes.append("it has no colour: all three were taken to be alike")
    if pixels.min() == pixels.max():
        notes.append("warning: no detail: every pixel has the same value")
    planes = np.stack([pixels[None, :, :, min(c, pixels.shape[2] - 1)] for c in range(channels)], 1)
    return Measurement(torch.from_numpy(planes) / 127.5 - 1, tuple(notes), image.sha256)


def decode_image(data: bytes, name: str) -> LoadedImage:
    """Decode the bytes of a picture; `name` is what errors call it.

    16-bit grey is divided by 257, float in [0, 1] multiplied by 255, alpha composited over white,
    EXIF rotation applied, and of an animation the first frame taken.

    Raises: ImageError (E-IMG-UNKNOWN, -TRUNC, -CRC, -SIZE, -SMALL or -VALUE), and nothing else.
    """
    if len(data) > MAX_FILE_BYTES:
        raise ImageError("E-IMG-SIZE", name, f"larger than {MAX_FILE_BYTES >> 20} MB", _REEXPORT)
    if data.startswith(_JPEG_SIGNATURE) and data.count(b"\xff\xda") > MAX_JPEG_SCANS:
        raise ImageError("E-IMG-SIZE", name, "a JPEG of far too many scans", _REEXPORT)
    if data.startswith(_PNG_SIGNATURE):
        _check_png(data, name)
    notes: list[str] = []
    try:
        file = Image.open(io.BytesIO(data), formats=FORMATS)
        mode = file.mode
        _check_size(*file.size, name)
        image = _simplify(file, notes)
    except ImageError:
        raise
    except Exception as exc:  # decoders raise whatever they like on damaged bytes
        raise _undecodable(data, name, exc) from exc
    samples = _to_float(image, name, notes)
    if all(np.array_equal(samples[..., 0], samples[..., c]) for c in range(1, samples.shape[2])):
        samples = samples[..., :1]
    digest = hashlib.sha256(data).hexdigest()
    return LoadedImage(np.ascontiguousarray(samples), tuple(notes), digest, mode)


def _read_file(path: Path) -> bytes:
    name = str(path)
    try:
        kind = path.stat().st_mode
        if stat.S_ISREG(kind):
            with path.open("rb") as file:
                return file.read(MAX_FILE_BYTES + 1)
    except PermissionError as exc:
        raise ImageError("E-IMG-PERM", name, "no permission to read it", "Run chmod +r") from exc
    except (OSError, ValueError) as exc:  # ValueError: a NUL in the name
        is_io = isinstance(exc, OSError) and exc.errno == errno.EIO
        code, what = ("E-IMG-IO", "cannot be read") if is_io else ("E-IMG-MISSING", "no such file")
        raise ImageError(code, name, what, "Check the path") from exc
    if stat.S_ISDIR(kind):
        raise ImageError("E-IMG-DIR", name, "is a folder", "Name one picture in it")
    raise ImageError("E-IMG-TYPE", name, "is not a regular file", "Name a picture file")


def _check_png(data: bytes, name: str) -> None:
    """Walk the chunks: Pillow decodes a PNG with wrong checksums, or none, without a word."""
    view, pos, kind = memoryview(data), len(_PNG_SIGNATURE), b""
    while kind != b"IEND":
        length, kind = int.from_bytes(view[pos : pos + 4], "big"), bytes(view[pos + 4 : pos + 8])
        end = pos + 12 + length
        if end > len(data):
            what = f"the PNG ends after {len(data)} of at least {end} bytes"
            raise ImageError("E-IMG-TRUNC", name, what, "Copy or export it again")
        if zlib.crc32(view[pos + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
            what = f"the PNG is damaged: wrong checksum in its {kind.decode('latin1')!a} chunk"
            raise ImageError("E-IMG-CRC", name, what, "Copy or export it again")
        pos = end


def _check_size(width: int, height: int, name: str) -> None:
    short, long = sorted((width, height))
    size = f"it has {width}x{height} pixels"
    if short < MIN_SIDE:
        raise ImageError("E-IMG-SMALL", name, size, f"Both sides must have {MIN_SIDE} or more")
    if long > MAX_SIDE or width * height > MAX_PIXELS or long > MAX_ASPECT * short:
        limits = f"{MAX_SIDE} a side, {MAX_PIXELS // 10**6} million in all and {MAX_ASPECT}:1"
        remedy = f"Crop it to the face or make it smaller: allowed are {limits}"
        raise ImageError("E-IMG-SIZE", name, size, remedy)


def _undecodable(data: bytes, name: str, exc: Exception) -> ImageError:
    if isinstance(exc, Image.DecompressionBombError | MemoryError) or "MAX_TEXT" in str(exc):
        return ImageError("E-IMG-SIZE", name, "unpacks to far too much data", _REEXPORT)
    if data.startswith(_SIGNATURES) or data[8:12] == b"WEBP":
        return ImageError("E-IMG-TRUNC", name, "damaged, cut short or not supported", _REEXPORT)
    return ImageError("E-IMG-UNKNOWN", name, f"not one of {', '.join(FORMATS)}", "Export it as PNG")


def _simplify(file: ImageFile.ImageFile, notes: list[str]) -> Image.Image:
    """Decode with Pillow to one of the modes L, RGB, RGBA, I;16*, I and F, upright."""
    if getattr(file, "is_animated", False):
        notes.append("it has several frames or pages: the first was taken")
    if "icc_profile" in file.info:
        notes.append("its colour profile was ignored: values are taken as sRGB")
    is_16_bit = ";16" in str(file.tile[:1])  # Pillow's raw mode, such as RGB;16B
    image = _upright(file, notes)
    if is_16_bit and not image.mode.startswith("I"):
        notes.append("16-bit colour was reduced to 8 bits")
        if isinstance(key := image.info.get("transparency"), tuple):
            image.info["transparency"] = tuple(v >> 8 for v in key)
    if image.mode in _CONVERTED:
        notes.append(f"{_CONVERTED[image.mode]} pixels were converted to {_plain_mode(image)}")
    return image if image.mode == _plain_mode(image) else image.convert(_plain_mode(image))


def _plain_mode(image: Image.Image) -> str:
    if image.mode.startswith(("I", "F")):
        return image.mode
    if image.has_transparency_data:
        return "RGBA"
    return "L" if image.mode in ("1", "L") else "RGB"


def _upright(image: Image.Image, notes: list[str]) -> Image.Image:
    tag = ExifTags.Base.Orientation
    orientation = getattr(image, "tag_v2", {}).get(tag, 1)  # TIFF: load() turns it and forgets this
    image.load()
    try:
        orientation = image.getexif().get(tag, orientation)
    except Exception:  # a picture with broken EXIF data is still a picture
        notes.append("its EXIF data cannot be read and was ignored")
        return image
    if orientation in range(2, 9):
        notes.append("it was turned or mirrored as its EXIF data says")
        return ImageOps.exif_transpose(image)
    return image


def _to_float(image: Image.Image, name: str, notes: list[str]) -> np.ndarray:
    """Return float32 [H, W, 1 or 3] in 0..255 for a picture of one of the plain modes."""
    stored = np.asarray(image)
    if image.mode == "RGBA":
        return _over_white(stored, notes)
    if image.mode.startswith("I"):
        _require(stored.min() >= 0 and stored.max() <= 65535, name, "integers outside 0..65535")
        notes.append("16-bit grey was scaled to 0..255")
        samples = stored.astype(np.float32) / 257
        if (key := image.info.get("transparency")) is not None:
            samples[stored == key] = 255
            notes.append("transparent pixels were made white")
    elif image.mode == "F":
        _require(bool((stored >= 0).all() and (stored <= 1).all()), name, "floats outside 0..1")
        notes.append("float samples were scaled from 0..1 to 0..255")
        samples = stored * np.float32(255)
    else:
        samples = stored.astype(np.float32)
    return samples.reshape(*stored.shape[:2], -1)


def _require(is_valid: bool, name: str, what: str) -> None:
    if not is_valid:
        raise ImageError("E-IMG-VALUE", name, f"its samples are {what}", _REEXPORT)


def _over_white(rgba: np.ndarray, notes: list[str]) -> np.ndarray:
    rgb, alpha = rgba[:, :, :3].astype(np.float32), rgba[:, :, 3:]
    if alpha.min() == 255:
        notes.append("its opaque alpha channel was dropped")
        return rgb
    notes.append("transparent pixels were composited over white")
    rgb -= 255  # in place: a large picture is hundreds of megabytes here
    rgb *= np.divide(alpha, 255, dtype=np.float32)
    rgb += 255
    return rgb


def to_uint8(img: Tensor) -> np.ndarray:
    """Convert [N, C, H, W] in [-1, 1] to uint8 [N, H, W, C]: (x + 1) * 127.5, rounded and clipped.

    Raises: ImageError (E-IMG-VALUE) if a value is not finite.
    """
    import torch

    _require(bool(torch.isfinite(img).all()), "picture", "not finite")
    grey_levels = ((img.detach().float() + 1) * 127.5).round().clamp(0, 255)
    return grey_levels.to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()


def from_uint8(array: np.ndarray) -> Tensor:
    """Convert uint8 [N, H, W, C] to float32 [N, C, H, W], v / 127.5 - 1: to_uint8 undoes it."""
    import torch

    if array.dtype != np.uint8 or array.ndim != 4:
        raise ValueError(f"got {array.dtype} {array.shape}, expected uint8 [N, H, W, C]")
    return torch.from_numpy(array.transpose(0, 3, 1, 2).astype(np.float32)) / 127.5 - 1


def save_png(path: StrPath, array: np.ndarray, text: dict[str, str] | None = None) -> None:
    """Write uint8 [H, W], [H, W, 1] or [H, W, 3] as PNG; the same array gives the same bytes.

    `text` becomes UTF-8 text chunks. The file appears under its name only when it is complete; an
    existing one is replaced.
    """
    if array.dtype != np.uint8 or array.ndim not in (2, 3):
        raise ValueError(f"got {array.dtype} {array.shape}, expected uint8 [H, W, C]")
    info = PngImagePlugin.PngInfo()
    for key, value in (text or {}).items():
        info.add_itxt(key, value)
    buffer, path = io.BytesIO(), Path(path)
    grey = array[:, :, 0] if array.ndim == 3 and array.shape[2] == 1 else array
    Image.fromarray(np.ascontiguousarray(grey)).save(buffer, "PNG", pnginfo=info)
    part = path.with_name(f".{path.name[:64]}.tmp-{os.getpid()}")
    try:
        with part.open("wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
