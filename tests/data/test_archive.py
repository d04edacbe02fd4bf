import io
import json
import multiprocessing
import os
import signal
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import make_dataset
from data.archive import DatasetError, checked_members, encode_png, member_name, write_archive
from data.dataset import find_bad
from data.faces import describe, draw
from data.faces.export import export_faces
from data.source import open_source

ROOT = Path(__file__).parents[2]


def png(value=0, size=8):
    return encode_png(Image.new("RGB", (size, size), (value, 2 * value % 256, 7)))


def run(*arguments):
    result = CliRunner().invoke(make_dataset.make_dataset, [str(a) for a in arguments])
    assert result.stderr.count("error[") == (result.exit_code != 0), result.stderr
    assert "Traceback" not in result.output
    return result


def raw_zip(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


# Writing


def test_layout_is_stylegans(tmp_path):
    path = tmp_path / "new" / "set.zip"
    pictures = [png(k % 256) for k in range(1002)]
    labels = [k % 3 for k in range(1002)]
    tables = {"provenance.json": ["{", "}"]}
    assert write_archive(path, iter(pictures), labels=labels, tables=tables) == 1002
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert names[0] == "00000/img00000000.png" and names[1001] == "00001/img00001001.png"
        assert names[1002:] == ["dataset.json", "provenance.json"]
        assert all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())
        assert [archive.read(name) for name in names[:1002]] == pictures
        stored = json.loads(archive.read("dataset.json"))["labels"]
        assert stored == [[name, k % 3] for k, name in enumerate(names[:1002])]
        assert archive.read("provenance.json") == b"{}"


def test_png_loses_nothing():
    array = np.random.default_rng(0).integers(0, 256, (9, 9, 3)).astype(np.uint8)
    decoded = Image.open(io.BytesIO(encode_png(Image.fromarray(array))))
    assert (np.asarray(decoded) == array).all()


def test_same_content_same_bytes(tmp_path):
    for name in ("a.zip", "b.zip"):
        write_archive(tmp_path / name, [png(1), png(2)])
        time.sleep(0.01)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_broken_stream_leaves_nothing(tmp_path, error):
    def pictures():
        yield png()
        raise error

    with pytest.raises(error):
        write_archive(tmp_path / "a.zip", pictures())
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_kept(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(b"precious")
    with pytest.raises(DatasetError) as error:
        write_archive(path, [png()])
    assert error.value.code == "E-OUT-EXISTS"
    assert path.read_bytes() == b"precious" and len(list(tmp_path.iterdir())) == 1


# Hostile zips


def refusal(path):
    with pytest.raises(DatasetError) as error:
        open_source(path)
    assert str(error.value).startswith(str(path))
    return error.value.code


@pytest.mark.parametrize(
    "name", ["../x.png", "a/../../x.png", "/etc/x.png", "C:/x.png", "..\\x.png"]
)
def test_names_that_leave_the_folder_are_refused(tmp_path, name):
    path = raw_zip(tmp_path / "slip.zip", [("ok.png", png()), ("placeholder", b"")])
    if "\\" in name:  # zipfile itself would turn it round on some systems
        data = path.read_bytes().replace(b"ok.png", b"..\\png")
        path.write_bytes(data)
    else:
        path = raw_zip(path, [("ok.png", png()), (name, png())])
    assert refusal(path) == "E-DATA-NAME"


def test_names_with_nul_are_refused(tmp_path):
    path = raw_zip(tmp_path / "nul.zip", [("okXpng.png", png())])
    path.write_bytes(path.read_bytes().replace(b"okXpng", b"ok\0png"))
    assert refusal(path) == "E-DATA-NAME"


@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_beyond_the_limits_are_refused_before_unpacking(tmp_path, packing):
    path, size = tmp_path / "bomb.zip", 33 * 2**20 if packing == zipfile.ZIP_STORED else 2**20
    with zipfile.ZipFile(path, "w", packing) as archive:
        archive.writestr("bomb.png", bytes(size))  # too large, or too dense
    assert refusal(path) == "E-DATA-SIZE"


def test_overlapping_members_are_refused(tmp_path):
    path = raw_zip(tmp_path / "overlap.zip", [("a.png", png(1)), ("b.png", png(1))])
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"PK\x01\x02")  # the second entry of the directory
    data[entry + 42 : entry + 46] = struct.pack("<I", 10)  # its header now lies inside the first
    path.write_bytes(data)
    with zipfile.ZipFile(path) as archive, pytest.raises(DatasetError) as error:
        checked_members(archive, "x")
    assert error.value.code == "E-DATA-OVERLAP"


def test_other_unusable_sources(tmp_path):
    (tmp_path / "no.zip").write_bytes(b"this is not a zip")
    assert refusal(tmp_path / "no.zip") == "E-DATA-ZIP"
    assert refusal(raw_zip(tmp_path / "empty.zip", [("readme.txt", b"")])) == "E-DATA-EMPTY"
    assert refusal(tmp_path / "missing.zip") == "E-DATA-MISSING"
    (tmp_path / "folder").mkdir()
    assert refusal(tmp_path / "folder") == "E-DATA-EMPTY"
    twice = raw_zip(tmp_path / "twice.zip", [("a.png", png(1)), ("b.png", png(2))])
    twice.write_bytes(twice.read_bytes().replace(b"b.png", b"a.png"))
    assert refusal(twice) == "E-DATA-NAME"
    whole = raw_zip(tmp_path / "cut.zip", [("a.png", png(1))]).read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[: len(whole) // 2])
    assert refusal(tmp_path / "cut.zip") == "E-DATA-ZIP"


# The verb


def test_help_imports_nothing_heavy():
    code = "import sys, make_dataset; print({'numpy', 'PIL', 'torch'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert out.stdout == "set()\n", out.stderr


def test_faces_are_drawn_described_and_repeatable(tmp_path):
    first, second = tmp_path / "a.zip", tmp_path / "b.zip"
    options = ("--count", 40, "--size", 32, "--seed", 7)
    assert run("faces", *options, "--out", first).exit_code == 0
    assert run("faces", *options, "--out", second, "--workers", 2).exit_code == 0
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive:
        lines = archive.read("faces.jsonl").decode().splitlines()
        for index, line in enumerate(lines):
            expected = {"file": member_name(index)} | describe(7, index).as_dict()
            assert json.loads(line) == expected
            assert archive.read(member_name(index)) == encode_png(draw(describe(7, index), 32))
        assert len(lines) == 40
        provenance = json.loads(archive.read("provenance.json"))
        assert (provenance["seed"], provenance["count"], provenance["size"]) == (7, 40, 32)
        assert json.loads(archive.read("dataset.json")) == {"labels": None}
    assert run("check", first).output == f"{first}: 40 pictures, all good\n"


@pytest.mark.parametrize("bad", [("--count", 0), ("--size", 4), ("--seed", -1), ("--workers", 0)])
def test_senseless_options_are_usage_errors(tmp_path, bad):
    result = run("faces", "--count", 1, "--out", tmp_path / "a.zip", *bad)
    assert result.exit_code == 2 and list(tmp_path.iterdir()) == []


def gradient(width, height):
    x = np.linspace(0, 255, width)
    columns = np.broadcast_to(x, (height, width)).round().astype(np.uint8)
    return Image.fromarray(np.stack([columns, 255 - columns, columns // 2], axis=2))


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "pictures"
    (folder / "deep" / "er").mkdir(parents=True)
    gradient(64, 32).save(folder / "b.png")
    gradient(32, 64).save(folder / "deep" / "c.jpg", quality=98)
    gradient(40, 40).save(folder / "deep" / "er" / "d.webp", lossless=True)
    gradient(16, 16).convert("L").save(folder / "a.BMP")
    (folder / "notes.txt").write_text("not a picture")
    (folder / ".hidden.png").write_bytes(b"")
    return folder


def test_pack_crops_resizes_and_sorts(tmp_path, folder):
    out = tmp_path / "out.zip"
    result = run("pack", "--source", folder, "--out", out, "--size", 16)
    assert result.exit_code == 0, result.output
    with zipfile.ZipFile(out) as archive:
        lines = archive.read("sources.jsonl").decode().splitlines()
        assert [json.loads(line)["source"] for line in lines] == [
            "a.BMP",
            "b.png",
            "deep/c.jpg",
            "deep/er/d.webp",
        ]
        wide = np.asarray(Image.open(io.BytesIO(archive.read(member_name(1)))))
        grey = np.asarray(Image.open(io.BytesIO(archive.read(member_name(0)))))
    assert wide.shape == grey.shape == (16, 16, 3)
    # the middle 32 of 64 columns, averaged in pairs: column j lies at 16.5 + 2 j
    expected = (16.5 + 2 * np.arange(16)) * 255 / 63
    assert np.abs(wide[:, 2:14, 0] - expected[2:14]).max() <= 1.5
    assert (grey[:, :, 0] == grey[:, :, 1]).all()
    assert run("check", out).exit_code == 0


def test_pack_twice_gives_the_same_bytes(tmp_path, folder):
    for name in ("a.zip", "b.zip"):
        assert run("pack", "--source", folder, "--out", tmp_path / name, "--size", 8).exit_code == 0
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_pack_lists_bad_pictures_and_writes_nothing(tmp_path, folder):
    (folder / "e.png").write_bytes(b"not a png at all")
    (folder / "f\x1b[31m.png").write_bytes(png()[:60])
    out = tmp_path / "out.zip"
    result = run("pack", "--source", folder, "--out", out, "--size", 16)
    assert result.exit_code == 65 and not out.exists()
    listed = result.stdout.splitlines()
    assert len(listed) == 2 and "e.png" in listed[0] and "\x1b" not in result.output
    assert sorted(p.name for p in tmp_path.iterdir()) == ["pictures"]
    result = run("pack", "--source", folder, "--out", out, "--size", 16, "--skip-bad")
    assert result.exit_code == 0 and len(result.stdout.splitlines()) == 3
    assert len(open_source(out).names) == 4


def test_pack_names_what_it_cannot_pack(tmp_path):
    missing = run("pack", "--source", tmp_path / "no", "--out", tmp_path / "a.zip", "--size", 16)
    assert missing.exit_code == 66
    (tmp_path / "bad.png").write_bytes(b"")
    file = run("pack", "--source", tmp_path / "bad.png", "--out", tmp_path / "a.zip", "--size", 16)
    assert file.exit_code == 65
    arguments = ("--source", tmp_path, "--out", tmp_path / "a.zip", "--size", 16, "--skip-bad")
    assert run("pack", *arguments).exit_code == 65  # nothing good is left
    assert [p.name for p in tmp_path.iterdir()] == ["bad.png"]


def test_check_lists_every_bad_picture(tmp_path):
    members = [(member_name(k), png(k)) for k in range(64)]
    members[5] = (member_name(5), png(5)[:40])
    members[20] = (member_name(20), b"junk")
    members[33] = (member_name(33), png(33, size=16))
    path = raw_zip(tmp_path / "set.zip", members)
    result = run("check", path)
    assert result.exit_code == 65
    listed = result.stdout.splitlines()
    assert [line.split(": ")[0] for line in listed] == [
        f"{path}/{member_name(k)}" for k in (5, 20, 33)
    ]
    codes = [error.code for error in find_bad(path)]
    assert codes == ["E-DATA-TRUNC", "E-DATA-UNKNOWN", "E-DATA-SIZE"]


def test_check_finds_flipped_bytes(tmp_path):
    path = raw_zip(tmp_path / "set.zip", [(member_name(k), png(k)) for k in range(3)])
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 10] ^= 1
    path.write_bytes(data)
    result = run("check", path)
    assert result.exit_code == 65 and len(result.stdout.splitlines()) == 1


def test_check_of_nothing(tmp_path):
    assert run("check", tmp_path / "none.zip").exit_code == 66
    assert run("check", tmp_path).exit_code == 65


@pytest.mark.parametrize("delay", [0.0, 0.2])
def test_interrupt_leaves_nothing(tmp_path, delay):
    command = [sys.executable, ROOT / "make_dataset.py", "faces", "--count", "100000"]
    command += ["--size", "64", "--workers", "2", "--out", tmp_path / "a.zip"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True) as process:
        try:
            deadline = time.monotonic() + 60
            while not any(tmp_path.iterdir()):
                assert time.monotonic() < deadline and process.poll() is None
                time.sleep(0.002)
            time.sleep(delay)
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers as well
            _, stderr = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 130 and stderr == b"interrupted\n", stderr
    assert list(tmp_path.iterdir()) == []


def test_interrupt_while_writing_does_not_wait_for_the_workers(tmp_path, monkeypatch):
    def interrupted(archive, name, data):
        raise KeyboardInterrupt

    monkeypatch.setattr("data.archive._add", interrupted)
    with pytest.raises(KeyboardInterrupt) as error:
        export_faces(tmp_path / "a.zip", count=3000, size=64, seed=0, workers=2)
    assert multiprocessing.active_children() == [], "the pool outlives its user"
    assert error.tb is not None and list(tmp_path.iterdir()) == []
