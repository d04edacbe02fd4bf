"""Hostile files are refused with the right code, odd ones understood, 8 bits kept exactly."""

import errno
import hashlib
import json
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from data import image_io
from data.image_io import (
    ImageError,
    decode_image,
    from_uint8,
    load_image,
    load_measurement,
    save_png,
    to_uint8,
)
from tests.data.bad_images import bad_corpus, bad_files, bad_paths, encoded, face_like
from tests.data.odd_images import odd_corpus, odd_files, odd_names

ROOT = Path(__file__).parents[2]
BAD, ODD = bad_files(), odd_files()
pytestmark = pytest.mark.filterwarnings("ignore:::PIL")  # pytest forgets those of image_io


@pytest.mark.parametrize("name", BAD)
def test_bad_pictures_are_refused(name, tmp_path):
    data, code = BAD[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ImageError) as caught:
        load_image(tmp_path / name)
    assert caught.value.code == code
    what, _, remedy = str(caught.value).removeprefix(f"{tmp_path / name}: ").partition(". ")
    assert what and remedy.endswith(".")


def test_paths_that_are_no_readable_file(tmp_path):
    for path, code in bad_paths(tmp_path).items():
        with pytest.raises(ImageError) as caught:
            load_image(path)
        assert (caught.value.code, path) == (code, path)
    with pytest.raises(ImageError, match="no such file"):
        load_image("a\0b.png")


@pytest.mark.parametrize(
    ("number", "code"), [(errno.EACCES, "E-IMG-PERM"), (errno.EIO, "E-IMG-IO")]
)
def test_files_that_cannot_be_read(tmp_path, monkeypatch, number, code):
    def refuse(self, mode):
        raise OSError(number, "refused", str(self))

    (tmp_path / "x.png").write_bytes(encoded(face_like(), "PNG"))
    monkeypatch.setattr(Path, "open", refuse)  # as root, chmod alone would refuse nothing
    with pytest.raises(ImageError) as caught:
        load_image(tmp_path / "x.png")
    assert caught.value.code == code


def test_the_corpora_are_complete(tmp_path):
    for folder in ("bad", "odd"):
        (tmp_path / folder).mkdir()
    bad, odd = bad_corpus(tmp_path / "bad"), odd_corpus(tmp_path / "odd")
    assert len(bad) >= 60 and {code for _, code in bad} >= {65, 66}
    assert len(odd) >= 50


@pytest.mark.parametrize("name", ODD)
def test_odd_pictures_are_understood(name):
    odd = ODD[name]
    image = decode_image(odd.data, name)
    assert image.pixels.dtype == np.float32 and image.pixels.flags.c_contiguous
    assert image.pixels.shape == odd.pixels.shape
    assert np.abs(image.pixels - odd.pixels).max() <= odd.tolerance
    if odd.note is None:
        assert image.notes == ()
    else:
        assert sum(odd.note in note for note in image.notes) == 1, image.notes
    assert image.sha256 == hashlib.sha256(odd.data).hexdigest()


def test_odd_names_are_read(tmp_path):
    for path in odd_names(tmp_path):
        assert load_image(path).pixels.shape == (32, 32, 1)


def test_unreadable_exif_is_noted_and_ignored(monkeypatch):
    def fail(self):
        raise SyntaxError("not a TIFF file")

    monkeypatch.setattr(Image.Image, "getexif", fail)
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.getexif", fail)
    image = decode_image(encoded(face_like(), "PNG"), "x.png")
    assert image.notes == ("its EXIF data cannot be read and was ignored",)
    assert np.array_equal(image.pixels, face_like())


def test_bugs_of_ours_are_not_blamed_on_the_picture(monkeypatch):
    monkeypatch.setattr("data.image_io._to_float", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        decode_image(encoded(face_like(), "PNG"), "x.png")


@pytest.mark.parametrize(
    "name", ["animated.png", "cmyk.jpg", "plain.bmp", "float.tif", "rgba.webp"]
)
def test_a_cut_file_is_refused_or_whole(name):
    """Nothing is ever filled with grey: whatever is accepted is the complete picture."""
    data, whole = ODD[name].data, decode_image(ODD[name].data, name).pixels
    refused = 0
    for length in range(0, len(data), max(1, len(data) // 300)):
        try:
            assert np.array_equal(decode_image(data[:length], name).pixels, whole)
        except ImageError:
            refused += 1
    assert refused > 150


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_bombs_cost_little(tmp_path):
    """Reliability B4: each refused within 2 s and 400 MB; measured in a process of its own."""
    names = [name for name, (_, code) in BAD.items() if code == "E-IMG-SIZE"]
    for name in names:
        (tmp_path / name).write_bytes(BAD[name][0])
    code = f"""
import json, sys, time
sys.path.insert(0, {str(ROOT)!r})
from data.image_io import ImageError, load_image
seconds = []
for path in {[str(tmp_path / name) for name in names]}:
    start = time.monotonic()
    try:
        load_image(path)
    except ImageError:
        seconds.append(time.monotonic() - start)
# not ru_maxrss, which begins with that of the process that started this one
[peak_kib] = [int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmHWM")]
print(json.dumps([seconds, peak_kib, "torch" in sys.modules]))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    seconds, peak_kib, has_torch = json.loads(run.stdout)
    assert len(seconds) == len(names) >= 10 and max(seconds) < 2
    assert peak_kib < 400 * 1024
    assert not has_torch


def repair_png(data: bytes) -> bytes:
    """Give every chunk its right checksum, so that mutants reach the decoder behind the check."""
    pos, out = 8, data[:8]
    while pos + 12 <= len(data):
        end = pos + 12 + struct.unpack(">I", data[pos : pos + 4])[0]
        out += data[pos : end - 4] + struct.pack(">I", zlib.crc32(data[pos + 4 : end - 4]))
        pos = end
    return out


def mutants(count: int, seed: int):
    rng, originals = np.random.default_rng(seed), [odd.data for odd in ODD.values()]
    for _ in range(count):
        data = bytearray(originals[rng.integers(len(originals))])
        for _ in range(rng.integers(1, 9)):
            data[rng.integers(len(data))] = rng.integers(256)
        if rng.random() < 0.2:
            del data[rng.integers(len(data)) :]
        if rng.random() < 0.2:
            at = rng.integers(len(data) + 1)
            data[at:at] = data[: rng.integers(100)]
        yield (
            repair_png(bytes(data))
            if data[:4] == b"\x89PNG" and rng.random() < 0.8
            else bytes(data)
        )


@pytest.mark.parametrize("count", [2000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_mutants_give_a_picture_or_an_image_error(count, capfd):
    outcomes = {"read": 0, "refused": 0}
    for data in mutants(count, seed=count):
        try:
            pixels = decode_image(data, "mutant").pixels
        except ImageError as exc:
            assert exc.code.startswith("E-IMG-")
            outcomes["refused"] += 1
        else:
            assert pixels.ndim == 3 and pixels.shape[2] in (1, 3)
            assert pixels.min() >= 0 and pixels.max() <= 255
            outcomes["read"] += 1
    assert min(outcomes.values()) > count // 10, outcomes


def test_measurement_is_luma_in_float(tmp_path):
    picture = face_like(24, 40)
    save_png(tmp_path / "x.png", picture)
    y, notes, sha256 = load_measurement(tmp_path / "x.png")
    red, green, blue = picture.astype(np.float64).transpose(2, 0, 1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    assert y.shape == (1, 1, 24, 40) and y.dtype == torch.float32
    assert np.abs(y[0, 0].numpy() - (luma / 127.5 - 1)).max() < 1e-6
    assert len(notes) == 1 and "turned to grey" in notes[0]
    assert sha256 == hashlib.sha256((tmp_path / "x.png").read_bytes()).hexdigest()


def test_measurement_of_a_grey_picture_is_exact(tmp_path):
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    save_png(tmp_path / "x.png", grey)
    y, notes, _ = load_measurement(tmp_path / "x.png")
    assert notes == ()
    assert np.array_equal(to_uint8(y)[0, :, :, 0], grey)
    assert (float(y.min()), float(y.max())) == (-1, 1)


def test_constant_pictures_are_warned_about(tmp_path):
    (tmp_path / "x.png").write_bytes(ODD["constant.png"].data)
    y, notes, _ = load_measurement(tmp_path / "x.png")
    assert notes == ("warning: no detail: every pixel has the same value",)
    assert torch.isfinite(y).all()


def test_to_uint8_rounds_and_clips():
    grey_levels = torch.tensor([-3.0, -0.6, -0.4, 0.4, 0.6, 99.4, 127.7, 254.4, 254.6, 300.0])
    img = (grey_levels / 127.5 - 1).reshape(1, 1, 2, 5).requires_grad_()
    assert to_uint8(img).ravel().tolist() == [0, 0, 0, 0, 1, 99, 128, 254, 255, 255]
    torch.manual_seed(0)
    img = torch.rand(1, 3, 200, 200) * 2 - 1
    error = to_uint8(img) - ((img.double() + 1) * 127.5).permute(0, 2, 3, 1).numpy()
    assert abs(error.mean()) < 0.01 and np.abs(error).max() <= 0.5 + 1e-4  # truncation: mean -0.5


def test_uint8_and_back_is_exact_and_keeps_places():
    array = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), dtype=np.uint8)
    array[0].flat[:105] = np.arange(105)
    img = from_uint8(array)
    assert img.shape == (2, 3, 5, 7) and img.dtype == torch.float32
    assert float(img[1, 2, 3, 4]) == pytest.approx(array[1, 3, 4, 2] / 127.5 - 1, abs=1e-7)
    assert np.array_equal(to_uint8(img), array)
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    for dtype in (torch.float32, torch.float64):
        assert np.array_equal(to_uint8(from_uint8(levels).to(dtype)), levels)


def test_conversions_refuse_what_has_no_meaning():
    with pytest.raises(ImageError, match="not finite"):
        to_uint8(torch.full((1, 3, 2, 2), float("nan")))
    for array in (np.zeros((2, 2, 3), np.uint8), np.zeros((1, 2, 2, 3))):
        with pytest.raises(ValueError, match="expected uint8"):
            from_uint8(array)
    with pytest.raises(ValueError, match="expected uint8"):
        save_png("never.png", np.zeros((4, 4)))


@pytest.mark.parametrize("shape", [(9, 11), (9, 11, 1), (9, 11, 3)])
def test_saved_pngs_read_back_and_repeat(tmp_path, shape):
    array = np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8)
    text = {"irodori": json.dumps({"seed": 0}), "Title": "\u5f69\u308a"}
    for name in ("a.png", "b.png"):
        save_png(tmp_path / name, array, text)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as image:
        assert np.array_equal(np.asarray(image).reshape(shape), array)
        assert image.text == text
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    save_png(tmp_path / "a.png", np.zeros((8, 8), np.uint8))
    before = (tmp_path / "a.png").read_bytes()

    def full(fd):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        save_png(tmp_path / "a.png", np.ones((8, 8), np.uint8))
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == before


def test_pillows_remarks_are_not_shown_and_other_warnings_are(tmp_path):
    """A picture of 12000 x 12000 makes it warn of a bomb; ours is the error that says so."""
    (tmp_path / "bomb.png").write_bytes(BAD["one_bit_12000.png"][0])
    code = f"""
import warnings
from data.image_io import ImageError, load_image
filters = warnings.filters
try:
    load_image({str(tmp_path / "bomb.png")!r})
except ImageError as error:
    print(error.code, warnings.filters is filters)
warnings.warn("something else")
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout == "E-IMG-SIZE True\n"
    assert run.stderr.splitlines() == ["<string>:9: UserWarning: something else"]


def test_decoding_leaves_the_warning_filters_of_other_threads_alone(monkeypatch):
    seen = []
    simplify = image_io._simplify
    monkeypatch.setattr(
        image_io, "_simplify", lambda *args: (seen.append(warnings.filters), simplify(*args))[1]
    )
    before = warnings.filters
    decode_image(encoded(face_like(), "PNG"), "x.png")
    assert seen[0] is before
