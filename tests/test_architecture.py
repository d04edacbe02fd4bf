"""Who may import whom (design section 2), how large a file may be, and how fast a verb starts."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "custom_ops": set(),
    "engine": set(),
    "stylegan": {"custom_ops", "engine"},
    "encoder": {"stylegan", "engine"},
    "inversion": {"stylegan", "engine"},
    "data": set(),
    "attributes": {"data", "engine", "stylegan"},
    "evaluation": {"data", "attributes", "engine"},
    "baselines": {"data", "engine", "stylegan", "encoder", "evaluation"},
    "colouring": {
        *("attributes", "custom_ops", "data", "encoder"),
        *("engine", "evaluation", "inversion", "stylegan"),
    },
    "runtime": set(),
}
VERBS = sorted(p.stem for p in ROOT.glob("*.py") if p.stem != "runtime")
SOURCES = sorted(
    p.relative_to(ROOT)
    for p in ROOT.rglob("*.py")
    if p.relative_to(ROOT).parts[0] in MAY_IMPORT or p.parent == ROOT
)


def imported_roots(source: str) -> set[str]:
    """Return the top-level names that a file imports, at the top or inside functions."""
    roots = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            roots |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            roots.add(node.module.split(".")[0])
    return roots


def forbidden_imports(path: Path, source: str) -> set[str]:
    owner = path.parts[0].removesuffix(".py")
    ours = MAY_IMPORT.keys() | set(VERBS)
    allowed = MAY_IMPORT.get(owner, set(MAY_IMPORT)) | {owner}  # a verb may import all but verbs
    return (imported_roots(source) & ours) - allowed


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_imports_follow_the_design(path):
    assert not forbidden_imports(path, (ROOT / path).read_text())


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_files_are_short(path):
    assert len((ROOT / path).read_text().splitlines()) <= 300


def test_the_rules_reject_what_they_should():
    for path, source in [
        ("encoder/model.py", "import inversion.operators"),
        ("inversion/pipeline.py", "def f():\n    from encoder import model"),
        ("custom_ops/build.py", "from stylegan.config import x"),
        ("data/image_io.py", "import runtime"),
        ("engine/states.py", "from stylegan import checkpoint"),
        ("stylegan/training.py", "import make_dataset"),
        ("make_dataset.py", f"import {next(v for v in VERBS if v != 'make_dataset')}"),
    ]:
        assert forbidden_imports(Path(path), source), f"{path} may not: {source}"
    assert not forbidden_imports(Path("encoder/model.py"), "from stylegan import Generator")
    assert not forbidden_imports(Path("make_dataset.py"), "import runtime, data.archive, torch")


@pytest.mark.parametrize("verb", VERBS)
def test_help_answers_without_importing_torch(verb):
    """torch takes seconds; a usage error or `--help` must not wait for it."""
    code = f"""
import runpy, sys
sys.argv = ["{verb}.py", "--help"]
try:
    runpy.run_path("{verb}.py", run_name="__main__")
except SystemExit as exc:
    heavy = {{"torch", "torchvision", "scipy", "matplotlib", "lpips"}} & sys.modules.keys()
    print("left with", exc.code, "and", sorted(heavy))
"""
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    assert run.stdout.endswith("left with 0 and []\n"), run.stdout + run.stderr
