"""The contract of the verbs: one error line, the right code, nothing half written."""

import errno
import logging
import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import runtime

ROOT = Path(__file__).parent.parent


def run(action, *args):
    """Run `action` inside a verb; return (exit code, stdout, stderr)."""

    @click.command(cls=runtime.Verb)
    @click.option("--samples", type=click.IntRange(1, 100), default=8)
    @click.option("--outdir", type=runtime.UserPath())
    def verb(samples, outdir):
        action(samples, outdir)

    result = CliRunner().invoke(verb, list(args), prog_name="verb.py")
    return result.exit_code, result.stdout, result.stderr


def raiser(exc):
    def action(samples, outdir):
        raise exc

    return action


class CodedError(ValueError):
    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


class OutOfMemoryError(RuntimeError):
    """Named as torch's, which is recognised by name because torch may not be imported."""


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("E-USAGE", 2),
        ("E-VERSION", 76),
        ("E-IMG-TRUNC", 65),
        ("E-IMG-MISSING", 66),
        ("E-IMG-DIR", 66),
        ("E-IMG-TYPE", 65),
        ("E-IMG-PERM", 77),
        ("E-IMG-IO", 74),
        ("E-DATA-EMPTY", 65),
        ("E-MODEL-MISSING", 66),
        ("E-MODEL-VERSION", 76),
        ("E-MODEL-MISMATCH", 76),
        ("E-DEVICE-UNAVAILABLE", 69),
        ("E-INTERNAL", 70),
        ("E-MEMORY", 71),
        ("E-OUT-CREATE", 73),
        ("E-IO-FULL", 74),
        ("E-CONFIG-KEY", 78),
        ("E-TRAIN-NAN", 79),
        ("E-TRAIN-STOPPED", 75),
        ("E-TRAIN-HUNG", 75),
        ("E-OUT-LOCKED", 73),
    ],
)
def test_exit_codes_are_those_of_the_contract(code, expected):
    assert runtime.exit_code(code) == expected
    result, _, stderr = run(raiser(CodedError(code, "face.png: it is wrong. Mend it.")))
    assert (result, stderr) == (expected, f"error[{code}]: face.png: it is wrong. Mend it.\n")


def test_every_error_code_in_the_sources_has_a_row():
    sources = [
        ROOT / "runtime.py",
        *(p for n in runtime.PACKAGES for p in ROOT.glob(f"{n}/**/*.py")),
    ]
    codes = {c for p in sources for c in re.findall(r'"(E-[A-Z]+(?:-[A-Z0-9]+)*)"', p.read_text())}
    assert {"E-IMG-TRUNC", "E-OUT-CREATE"} <= codes
    for code in sorted(codes):
        _, family, *kinds = code.split("-")
        assert family in runtime.BY_FAMILY or {family, *kinds} & runtime.BY_KIND.keys(), code


@pytest.mark.parametrize(
    ("exc", "code", "expected"),
    [
        (MemoryError("8 GB"), "E-MEMORY", 71),
        (OutOfMemoryError("CUDA out of memory"), "E-MEMORY", 71),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate"), "E-MEMORY", 71),
        (OSError(errno.ENOSPC, "No space left on device", "x"), "E-IO-FULL", 74),
        (OSError(errno.EDQUOT, "Disk quota exceeded", "x"), "E-IO-FULL", 74),
        (RuntimeError("PytorchStreamWriter failed writing file data/0"), "E-IO-FULL", 74),
        (OSError(errno.EIO, "Input/output error", "x"), "E-IO", 74),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "x"), "E-IO-MISSING", 66),
        (PermissionError(errno.EACCES, "Permission denied", "x"), "E-IO-PERM", 77),
        (ZeroDivisionError("division by zero"), "E-INTERNAL", 70),
        (EOFError("ran out of input"), "E-INTERNAL", 70),
        (CodedError(7, "a code of another kind"), "E-INTERNAL", 70),
        (RuntimeError("two\nlines"), "E-INTERNAL", 70),
    ],
)
def test_any_exception_becomes_one_line_and_a_code(exc, code, expected, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result, stdout, stderr = run(raiser(exc))
    assert (result, stdout) == (expected, "")
    assert stderr.startswith(f"error[{code}]: ") and stderr.count("\n") == 1
    assert "Traceback" not in stderr


def test_the_real_torch_errors_are_recognised():
    torch = pytest.importorskip("torch")
    assert runtime.describe(torch.OutOfMemoryError("CUDA"))[0] == "E-MEMORY"
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60)
    assert runtime.describe(caught.value)[0] == "E-MEMORY"


def test_a_bug_leaves_its_traceback_in_the_named_log(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    _, _, stderr = run(raiser(KeyError("lost key")))
    [log] = tmp_path.iterdir()
    assert str(log) in stderr and "please report" in stderr
    assert "Traceback" in log.read_text() and "lost key" in log.read_text()


def test_debug_prints_the_traceback_too():
    exc = CodedError("E-IMG-CRC", "x: y. Z.")
    for args in (["--debug"], ["--samples", "3", "--debug"]):
        result, _, stderr = run(raiser(exc), *args)
        assert result == 65 and "Traceback" in stderr and "error[E-IMG-CRC]" in stderr


def test_names_are_escaped():
    hostile = "a\nb\x1b[31m\x9b\u202e\udcff\u2028.png"
    _, _, stderr = run(raiser(CodedError("E-IMG-CRC", f"{hostile}: damaged. Mend it.")))
    assert (
        stderr == r"error[E-IMG-CRC]: a\nb\x1b[31m\x9b\u202e\udcff\u2028.png: damaged. Mend it."
        "\n"
    )
    assert runtime.printable("\u5f69\u308a caf\u00e9 x.png") == "\u5f69\u308a caf\u00e9 x.png"


@pytest.mark.parametrize(
    "args", [["--samples", s] for s in ("0", "-1", "abc", "8.5", "1e9", "")] + [["--bogus"], ["x"]]
)
def test_usage_errors_are_one_line_and_code_2(args):
    result, stdout, stderr = run(raiser(AssertionError("the verb ran")), *args)
    assert (result, stdout) == (2, "")
    assert stderr.startswith("error[E-USAGE]: verb.py: ") and stderr.count("\n") == 1


def test_success_and_explicit_exits():
    assert run(lambda samples, outdir: click.echo(samples)) == (0, "8\n", "")
    assert run(lambda samples, outdir: "a return value") == (0, "", "")
    assert run(lambda samples, outdir: click.get_current_context().exit(79))[0] == 79


def test_version_names_what_decides_the_numbers():
    result, stdout, _ = run(raiser(AssertionError("the verb ran")), "--version")
    assert result == 0
    assert [line.split()[0] for line in stdout.splitlines()][:3] == ["irodori", "python", "torch"]


def test_interrupt_is_130_without_noise():
    assert run(raiser(KeyboardInterrupt())) == (130, "", "interrupted\n")


def test_interrupt_while_options_are_read_is_130():
    def interrupt(ctx, param, value):
        raise KeyboardInterrupt

    @click.command(cls=runtime.Verb)
    @click.option("--seed", callback=interrupt)
    def verb(seed):
        pass

    result = CliRunner().invoke(verb, [])
    assert (result.exit_code, result.stderr.strip()) == (130, "interrupted")


def test_broken_pipe_is_quiet():
    assert run(raiser(BrokenPipeError(errno.EPIPE, "Broken pipe"))) == (141, "", "")


def test_path_options_expand_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    seen = []
    run(lambda samples, outdir: seen.append(outdir), "--outdir=~/x")
    assert seen == [Path("/home/someone/x")]
    assert run(lambda samples, outdir: None, "--outdir=")[0] == 2


def test_groups_pass_the_boundary_on():
    @click.group(cls=runtime.VerbGroup)
    def group():
        pass

    @group.command()
    def draw():
        raise CodedError("E-DATA-EMPTY", "faces.zip: empty. Draw some.")

    invoke = CliRunner().invoke
    line = "error[E-DATA-EMPTY]: faces.zip: empty. Draw some.\n"
    assert (invoke(group, ["draw"]).exit_code, invoke(group, ["draw"]).stderr) == (65, line)
    assert "Traceback" in invoke(group, ["draw", "--debug"]).stderr
    assert "Traceback" in invoke(group, ["--debug", "draw"]).stderr
    assert invoke(group, ["draw", "--version"]).exit_code == 0
    assert invoke(group, ["--version"]).exit_code == 0
    assert invoke(group, ["paint"]).stderr.startswith("error[E-USAGE]: group: No such command")
    nothing = invoke(group, [])
    assert nothing.exit_code == 2 and "Usage:" in nothing.stderr


def test_log_records_become_note_and_warning_lines(tmp_path):
    def action(samples, outdir):
        runtime.setup_logging(tmp_path / "log.txt")
        logging.getLogger("stylegan.training").info("tick\x1b %d", 3)
        logging.getLogger("custom_ops.build").warning("no compiler\x1b")
        logging.getLogger("PIL.PngImagePlugin").info("chatter")

    assert run(action) == (0, "", "note: tick\\x1b 3\nwarning: no compiler\\x1b\n")
    assert [line.split(" ", 2)[2] for line in (tmp_path / "log.txt").read_text().splitlines()] == [
        "tick\x1b 3",
        "no compiler\x1b",
    ]
