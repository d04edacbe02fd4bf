"""Compiling for every GPU, caching, and falling back: none of it needs one."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from cuda_shim import built_shim, shim  # noqa: F401

from custom_ops import OpsError, cuda_build
from custom_ops.axis_plan import FORWARD, FORWARD_SAVE, LINEAR, MASKED, AxisPlan, plan_axis
from custom_ops.cuda_bias_act import ACTS, MOST_DERIVATIVES, PIECEWISE_LINEAR
from custom_ops.cuda_plan import TYPES, Layout, lay_out
from stylegan import Discriminator, DiscriminatorConfig, Generator, load_generator
from tests.tiny_models import D_CONFIG, G_CONFIG

pytest.importorskip("cuda.bindings", reason="cuda.bindings is declared for Linux only")
ROOT = Path(__file__).parents[2]
GEOMETRY = ROOT / "tests" / "fixtures" / "layer_geometry.json"
ARCHS = ("sm_80", "sm_90", "sm_100", "sm_120")
PROBE = ("bias_act.cu", "bias_act<float, 0, 0>")


def _of_layer(layer: dict[str, Any], dtype: torch.dtype) -> list[Layout]:
    """All that a layer's forward pass and derivatives use."""
    taps, radial = (layer["up_taps"], layer["down_taps"]), layer["radial"]
    size = layer["in_size"] + (0 if radial else 2)  # the convolution pads by its taps - 1
    plan = plan_axis(size, layer["up"], layer["down"], layer["padding"][:2], *taps)
    back = plan.transpose()
    return [
        *(lay_out(dtype, mode, plan, plan, False, radial) for mode in (FORWARD, FORWARD_SAVE)),
        lay_out(dtype, MASKED, plan, plan, False, radial),
        lay_out(dtype, MASKED, back, back, radial, False),
    ]


def _layouts(dtype: torch.dtype) -> dict[str, Layout]:
    """Every instance that StyleGAN3 T and R use, the discriminator's, and the generic ones."""
    configs = json.loads(GEOMETRY.read_text()).values()
    layers = [layer for config in configs for layer in config["layers"] if layer["up_taps"] > 1]
    layouts = [layout for layer in layers for layout in _of_layer(layer, dtype)]
    blur = [AxisPlan(64, 64, 31, 1, down, 0, 2, 1, 4) for down in (1, 2)]
    blur.append(AxisPlan(31, 64, 64, 2, 1, 1, 0, 4, 1))
    layouts += [lay_out(dtype, LINEAR, axis, axis, False, False) for axis in blur]
    odd = AxisPlan(31, 60, 19, 2, 3, 1, 0, 5, 5)
    for mode in (FORWARD, FORWARD_SAVE, MASKED, LINEAR):
        for flags in ((False, False), (True, False), (False, True), (True, True)):
            layouts.append(lay_out(dtype, mode, odd, odd, *flags))
    return {layout.name: layout for layout in layouts}


def _bias_act_names(dtype: str) -> list[str]:
    return [
        f"bias_act<{dtype}, {i}, {order}>"
        for i, act in enumerate(ACTS)
        for order in range(2 if act in PIECEWISE_LINEAR else MOST_DERIVATIVES + 1)
    ]


def _resources(log: str) -> dict[str, tuple[int, int]]:
    """Registers and spilled bytes per kernel, as the assembler reports them."""
    pattern = re.compile(
        r"entry function '(\w+)'.*?(\d+) bytes stack frame, (\d+) bytes spill stores, "
        r"(\d+) bytes spill loads.*?Used (\d+) registers",
        re.DOTALL,
    )
    return {m[1]: (int(m[5]), int(m[2]) + int(m[3]) + int(m[4])) for m in pattern.finditer(log)}


def _compile_all(source: str, names: list[str], arch: str) -> dict[str, tuple[int, int]]:
    compiled = cuda_build.compile_kernels(source, names, arch, ["--ptxas-options=-v"])
    assert compiled.image[:4] == b"\x7fELF"
    found = _resources(compiled.log)
    assert set(found) == set(compiled.names)
    return {name: found[mangled] for name, mangled in zip(names, compiled.names, strict=True)}


def test_an_instance_compiles_without_spills():
    name = next(name for name in _layouts(torch.float16) if name.startswith("filter_tile<half, 1,"))
    assert _compile_all("filters.cu", [name], "sm_90")[name][1] == 0
    spilling = "ptxas info : Compiling entry function 'k' for 'sm_90'\n 8 bytes stack frame, "
    spilling += "4 bytes spill stores, 4 bytes spill loads\n Used 255 registers, used 1 barriers"
    assert _resources(spilling) == {"k": (255, 16)}


@pytest.mark.slow
@pytest.mark.parametrize("dtype", TYPES, ids=TYPES.get)
@pytest.mark.parametrize("mode", [None, FORWARD, FORWARD_SAVE, MASKED, LINEAR])
def test_every_instance_compiles_for_every_gpu_without_spills(mode, dtype):
    start = f"filter_tile<{TYPES[dtype]}, {mode},"
    layouts = {n: layout for n, layout in _layouts(dtype).items() if n.startswith(start)}
    names = list(layouts) or _bias_act_names(TYPES[dtype])
    source = "filters.cu" if layouts else "bias_act.cu"
    with ThreadPoolExecutor(2) as pool:
        tables = dict(
            zip(ARCHS, pool.map(partial(_compile_all, source, names), ARCHS), strict=True)
        )
    for arch, used in tables.items():
        print(f"\n{arch}: instance, registers, bytes of shared memory")
        for name, (registers, _) in used.items():
            shared = layouts[name].shared_bytes if name in layouts else 0
            print(f"{name:64}{registers:5}{shared:7}")
    spills = {(a, n): used[n][1] for a, used in tables.items() for n in names if used[n][1]}
    assert spills == {}


def _training_step(G: Generator, D: Discriminator) -> None:
    """With the derivatives of R1 and of a path-length penalty."""
    z = torch.randn(4, G.config.z_dim)
    pictures = G(z)
    grads = torch.autograd.grad(pictures.sum(), list(G.synthesis.parameters()), create_graph=True)
    sum(g.square().sum() for g in grads).backward()
    pictures = pictures.detach().requires_grad_()
    (dx,) = torch.autograd.grad(D(pictures).sum(), pictures, create_graph=True)
    dx.square().sum().backward()


@pytest.mark.parametrize("size", ["tiny", pytest.param("default", marks=pytest.mark.slow)])
def test_what_the_networks_launch_is_among_what_is_compiled(shim, monkeypatch, size):  # noqa: F811
    launched = set()
    monkeypatch.setattr(cuda_build, "launch", lambda source, name, *rest: launched.add(name))
    if size == "tiny":
        _training_step(Generator(G_CONFIG), Discriminator(D_CONFIG))
    else:
        G = load_generator(ROOT / "pretrained" / "generator.safetensors").requires_grad_()
        _training_step(G, Discriminator(DiscriminatorConfig(img_resolution=64)))
    compiled = {*_layouts(torch.float32), *_bias_act_names("float")}
    assert launched <= compiled and len(launched) >= 10
    assert not any(", 0, 0, 0, 0," in name for name in launched)  # all have code of their own


def test_layers_of_t_and_r_have_instances_of_their_own():
    layers = [l for l in json.loads(GEOMETRY.read_text())["r256"]["layers"] if l["up_taps"] > 1]  # noqa: E741
    for layer in layers:
        for layout in _of_layer(layer, torch.float16):
            assert ", 0, 0, 0, 0," not in layout.name
            assert layout.shared_bytes <= 56 * 1024  # four blocks on an H100


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(cuda_build, "_outcomes", {})
    monkeypatch.setattr(cuda_build, "_warned", set())
    return tmp_path / "irodori" / "ops"


def test_machine_code_is_compiled_once(cache, monkeypatch):
    first = cuda_build.load_image(*PROBE, (9, 0))
    (path,) = cache.iterdir()
    assert path.name.startswith("bias_act-sm_90-") and b"bias_act" in first[0].encode()
    monkeypatch.setattr(cuda_build, "compile_kernels", lambda *args: pytest.fail("again"))
    assert cuda_build.load_image(*PROBE, (9, 0)) == first


def test_the_name_of_a_file_holds_all_that_its_code_depends_on(cache, monkeypatch, tmp_path):
    def name(instance: str = PROBE[1], arch: str = "sm_90", version: str = "13") -> str:
        return cuda_build._cache_path(PROBE[0], instance, arch, version).name

    names = {name(), name("bias_act<half, 0, 0>"), name(arch="sm_80"), name(version="12")}
    monkeypatch.setattr(cuda_build, "OPTIONS", ())
    names.add(name())
    for path in cuda_build.SOURCES.iterdir():
        (tmp_path / path.name).write_text(path.read_text() + "\n")
    monkeypatch.setattr(cuda_build, "SOURCES", tmp_path)
    names.add(name())
    assert len(names) == 6


@pytest.mark.parametrize("damage", [b"", b"short", None])
def test_a_damaged_file_is_written_again(cache, damage):
    first = cuda_build.load_image(*PROBE, (8, 0))
    (path,) = cache.iterdir()
    content = path.read_bytes()
    path.write_bytes(content[:-9] if damage is None else damage)
    assert cuda_build.load_image(*PROBE, (8, 0))[0] == first[0]
    assert len(path.read_bytes()) == len(content) and list(cache.iterdir()) == [path]


def test_a_folder_that_cannot_be_used_only_costs_time(cache, monkeypatch):
    cache.mkdir(parents=True)
    cache.chmod(0o777)
    assert cuda_build.load_image(*PROBE, (9, 0))[1][:4] == b"\x7fELF"
    assert list(cache.iterdir()) == []
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    assert cuda_build.load_image(*PROBE, (9, 0))[1][:4] == b"\x7fELF"


def test_threads_that_compile_at_once_agree(cache):
    with ThreadPoolExecutor(4) as pool:
        images = list(pool.map(lambda _: cuda_build.load_image(*PROBE, (9, 0)), range(4)))
    assert len({name for name, _ in images}) == 1 and len(list(cache.iterdir())) == 1


def test_the_target_suits_the_device():
    supported = [75, 80, 86, 89, 90, 100, 103, 120]
    expected = {(8, 0): "sm_80", (8, 7): "sm_86", (9, 0): "sm_90", (12, 1): "sm_120"}
    assert {c: cuda_build.choose_arch(c, supported) for c in expected} == expected
    assert cuda_build.choose_arch((13, 0), supported) == "compute_120"
    with pytest.raises(OpsError, match="below 75") as caught:
        cuda_build.choose_arch((7, 0), supported)
    assert caught.value.code == "E-OPS-BUILD"


def test_ptx_serves_devices_that_nvrtc_does_not_know(cache):
    name, image = cuda_build.load_image(*PROBE, (99, 0))
    assert f".entry {name}".encode() in image and image.endswith(b"\0")


def test_an_error_of_the_compiler_is_told():
    with pytest.raises(OpsError, match=r"bias_act.cu: NVRTC failed: .*error") as caught:
        cuda_build.compile_kernels("bias_act.cu", ["bias_act<nothing, 0, 0>"], "sm_90")
    assert caught.value.code == "E-OPS-BUILD" and "\n" not in str(caught.value)


def test_without_a_device_there_is_one_warning(cache, monkeypatch, caplog):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert not cuda_build.is_available() and not cuda_build.is_available()
    (record,) = caplog.records
    assert "torch sees no CUDA device" in record.message and "\n" not in record.message
    with pytest.raises(OpsError) as caught:
        cuda_build.is_available(strict=True)
    assert caught.value.code == "E-OPS-BUILD"
