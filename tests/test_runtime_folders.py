"""Output folders: published whole or not at all, never over anything that exists."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import runtime

ROOT = Path(__file__).parent.parent


def test_default_outdir_is_a_safe_name():
    for name, expected in [
        ("in/lowres.png", "lowres"),
        ("a\nb\x1b[31m.png", "a_b__31m"),
        ("-rf", "-rf"),
        ("..png", "image"),
        ("\u5f69.png", "\u5f69"),
        ("x" * 251 + ".png", "x" * 64),
    ]:
        assert runtime.default_outdir(Path(name)) == Path("out") / expected


def test_next_free_folder_counts_from_2(tmp_path):
    path = tmp_path / "a.b"
    assert runtime.next_free_folder(path) == path
    path.mkdir()
    (tmp_path / "a.b-2").symlink_to("nowhere")
    assert runtime.next_free_folder(path) == tmp_path / "a.b-3"


def tree(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*"))


def test_staging_publishes_whole_folders_only(tmp_path):
    final = tmp_path / "out" / "face"
    with runtime.staging_folder(final) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "x.png").write_text("x")
        assert not final.exists() and folder.parent == final.parent
    assert tree(tmp_path) == ["out", "out/face", "out/face/sub", "out/face/sub/x.png"]


@pytest.mark.parametrize("exc", [ValueError("x"), KeyboardInterrupt(), SystemExit(3)])
def test_staging_leaves_nothing_behind(tmp_path, exc):
    (tmp_path / "mine").mkdir()
    for final in (tmp_path / "new" / "deep" / "face", tmp_path / "mine" / "face"):
        with pytest.raises(type(exc)), runtime.staging_folder(final) as folder:
            (folder / "x.png").write_text("half")
            raise exc
    assert tree(tmp_path) == ["mine"]


def test_staging_never_touches_a_folder_that_appeared_meanwhile(tmp_path, capsys):
    final = tmp_path / "face"
    with runtime.staging_folder(final) as folder:
        (folder / "x.png").write_text("mine")
        final.mkdir()
        (final / "x.png").write_text("theirs")
    assert (final / "x.png").read_text() == "theirs"
    assert (tmp_path / "face-2" / "x.png").read_text() == "mine"
    assert "face-2" in capsys.readouterr().err


def test_staging_fails_early_where_it_cannot_write(tmp_path):
    (tmp_path / "file").write_text("x")

    for outdir in ("file/a/b", "new/" + "x" * 256 + "/a", "/proc/nothing/here"):
        with (
            pytest.raises(runtime.OutputError, match="cannot create a folder there") as caught,
            runtime.staging_folder(tmp_path / outdir),
        ):
            pytest.fail("the heavy work began")
        assert runtime.exit_code(caught.value.code) == 73
    assert tree(tmp_path) == ["file"]


def test_staging_works_for_the_longest_name(tmp_path):
    with runtime.staging_folder(tmp_path / ("x" * 255)):
        pass
    assert tree(tmp_path) == ["x" * 255]


def test_run_folders_are_numbered(tmp_path):
    runs = tmp_path / "runs"
    names = [runtime.run_folder(runs, d).name for d in ("t faces/x", "t", "r")]
    assert names == ["00000-t-faces-x", "00001-t", "00002-r"]
    (runs / "00041-other").mkdir()
    assert runtime.run_folder(runs, "t").name == "00042-t"
    (tmp_path / "file").write_text("x")
    with pytest.raises(runtime.OutputError, match="file"):
        runtime.run_folder(tmp_path / "file", "t")


def test_run_folder_steps_aside_for_another_run(tmp_path, monkeypatch):
    (tmp_path / "00000-t").mkdir()
    listings = iter([[], [tmp_path / "00000-t"]])  # the first look-up is out of date
    monkeypatch.setattr(Path, "glob", lambda self, pattern: next(listings))
    assert runtime.run_folder(tmp_path, "t").name == "00001-t"


PROGRAM = """
import sys, time
sys.path.insert(0, {root!r})
import click, runtime
from pathlib import Path

@click.command(cls=runtime.Verb)
@click.option("--lines", type=int, default=0)
def verb(lines):
    for i in range(lines):
        print(i)
    if not lines:
        with runtime.staging_folder(Path("out/face")) as folder:
            (folder / "x.png").write_text("half")
            print("ready", flush=True)
            time.sleep(30)

verb()
"""


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "verb.py"
    path.write_text(PROGRAM.format(root=str(ROOT)))
    return path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_clean_up(program, number):
    arguments = [sys.executable, str(program)]
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with subprocess.Popen(arguments, cwd=program.parent, **pipes) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        _, stderr = process.communicate(timeout=10)
    assert (process.returncode, stderr.strip()) == (130, "interrupted")
    assert tree(program.parent) == ["verb.py"]


def test_a_reader_that_leaves_is_no_error(program):
    command = f"{sys.executable} {program} --lines 100000 | head -1; exit ${{PIPESTATUS[0]}}"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=20)
    assert (result.returncode, result.stdout, result.stderr) == (141, "0\n", "")


def test_a_reader_that_was_never_there_is_no_error(program):
    """A few lines stay in the buffer and fail only when it is flushed, at the very end."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, program, "--lines", "3"]
    env = {**os.environ, "PYTHONUNBUFFERED": ""}
    result = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, env=env)
    os.close(writer)
    assert (result.returncode, result.stderr) == (141, "")


def test_usage_errors_are_fast(program):
    start = time.monotonic()
    result = subprocess.run([sys.executable, program, "--lines", "abc"], capture_output=True)
    assert result.returncode == 2
    assert time.monotonic() - start < 1


def test_dots_name_the_folder_they_stand_for(tmp_path, monkeypatch):
    inner = tmp_path / "here" / "inner"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    assert runtime.next_free_folder(Path(".")) == inner.with_name("inner-2")
    assert runtime.next_free_folder(Path("..")) == tmp_path / "here-2"
    with pytest.raises(runtime.OutputError, match="root folder"):
        runtime.next_free_folder(Path("/"))
