"""Compile the CUDA kernels by NVRTC on first use, keep them in the cache folder, launch them.

Needs a driver and `cuda.bindings` with NVRTC, which come with torch: no nvcc, no C++ compiler.
"""

import ctypes
import hashlib
import logging
import os
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from custom_ops import build
from custom_ops.errors import OpsError

logger = logging.getLogger(__name__)

SOURCES = Path(__file__).parent / "csrc" / "cuda"
OPTIONS = ("--std=c++17", "-default-device")
THREADS = 256  # kThreads of the kernels
PROBE = ("bias_act.cu", "bias_act<float, 0, 0>")  # small: what is compiled to see if it works

_lock = threading.Lock()
_functions: dict[tuple[int, str, str], Any] = {}
_outcomes: dict[int, OpsError | None] = {}
_warned: set[int] = set()


class Compiled(NamedTuple):
    """Machine code, the mangled names of the kernels in it, and what the compiler said."""

    image: bytes
    names: list[str]
    log: str


@torch.compiler.assume_constant_result
def is_available(device: torch.device | int | None = None, strict: bool = False) -> bool:
    """Whether the kernels can be built and loaded for `device` (None: the current one).

    The first outcome per device holds for the life of the process. If not: OpsError
    (`E-OPS-BUILD`) if `strict`, else False after one warning with the reason.
    """
    index = _index(device) if torch.cuda.is_available() else -1
    if index not in _outcomes:
        _outcomes[index] = _probe(index)
    error = _outcomes[index]
    if error and strict:
        raise error
    if error and index not in _warned:
        _warned.add(index)
        logger.warning("%s", error)
    return error is None


def _probe(index: int) -> OpsError | None:
    try:
        if index < 0:
            raise OSError("torch sees no CUDA device")
        with torch.cuda.device(index):
            _function(index, *PROBE)
    except (ImportError, OSError, RuntimeError, OpsError) as error:
        reason = " ".join(str(error).split())[:300]
        advice = "Everything works, slower; `python -m custom_ops doctor` says more."
        return OpsError("E-OPS-BUILD", f"custom_ops: no CUDA kernels ({reason}). {advice}")
    return None


def _index(device: torch.device | int | None) -> int:
    if isinstance(device, torch.device):
        device = device.index
    return torch.cuda.current_device() if device is None else device


def compile_kernels(
    source: str, names: Sequence[str], arch: str, options: Sequence[str] = ()
) -> Compiled:
    """Compile instances of kernels for `sm_XX` (machine code) or `compute_XX` (PTX).

    Needs no GPU. `source` is a file of SOURCES, `names` are such as `kernel<float, 2>`.

    Raises:
        OpsError: `E-OPS-BUILD`, with the compiler's first error.
    """
    from cuda.bindings import nvrtc

    headers = sorted(SOURCES.glob("*.h"))
    code = (SOURCES / source).read_bytes()
    texts = [path.read_bytes() for path in headers]
    titles = [path.name.encode() for path in headers]
    program = _check(
        nvrtc.nvrtcCreateProgram(code, source.encode(), len(titles), texts, titles), nvrtc
    )
    try:
        for name in names:
            _check(nvrtc.nvrtcAddNameExpression(program, name.encode()), nvrtc)
        flags = [f.encode() for f in (f"--gpu-architecture={arch}", *OPTIONS, *options)]
        (status,) = nvrtc.nvrtcCompileProgram(program, len(flags), flags)
        log = _read(nvrtc, program, "ProgramLog").decode(errors="replace").strip("\0\n ")
        if status != nvrtc.nvrtcResult.NVRTC_SUCCESS:
            first = next((line for line in log.splitlines() if "error" in line), log)
            raise OpsError("E-OPS-BUILD", f"{source}: NVRTC failed: {first[:300]}. Report it.")
        image = _read(nvrtc, program, "CUBIN" if arch.startswith("sm_") else "PTX")
        lowered = [_check(nvrtc.nvrtcGetLoweredName(program, n.encode()), nvrtc) for n in names]
    finally:
        nvrtc.nvrtcDestroyProgram(program)
    return Compiled(image, [name.decode() for name in lowered], log)


def _read(nvrtc: Any, program: Any, what: str) -> bytes:
    size = _check(getattr(nvrtc, f"nvrtcGet{what}Size")(program), nvrtc)
    buffer = bytes(size)
    _check(getattr(nvrtc, f"nvrtcGet{what}")(program, buffer), nvrtc)
    return buffer


def _check(result: tuple[Any, ...], library: Any) -> Any:
    """The value of a call of cuda.bindings, whose results begin with an error code."""
    status, *values = result
    if int(status) != 0:
        raise OpsError("E-OPS-BUILD", f"custom_ops: CUDA says {status.name}. See `nvidia-smi`.")
    return values[0] if len(values) == 1 else tuple(values)


def choose_arch(capability: tuple[int, int], supported: Sequence[int]) -> str:
    """The target for a device: machine code of its generation, or PTX if NVRTC is older than it."""
    number = 10 * capability[0] + capability[1]
    same = [a for a in supported if a // 10 == capability[0] and a <= number]
    if same:
        return f"sm_{max(same)}"
    older = [a for a in supported if a <= number]
    if not older:
        what = f"compute capability {capability[0]}.{capability[1]} is below {min(supported)}"
        raise OpsError("E-OPS-BUILD", f"custom_ops: {what}, NVRTC's oldest. Use impl='ref'.")
    return f"compute_{max(older)}"


def load_image(source: str, name: str, capability: tuple[int, int]) -> tuple[str, bytes]:
    """Mangled name and code of one instance, from the cache folder if it is there and intact."""
    from cuda.bindings import nvrtc

    version = _check(nvrtc.nvrtcVersion(), nvrtc)
    arch = choose_arch(capability, _check(nvrtc.nvrtcGetSupportedArchs(), nvrtc))
    path = _cache_path(source, name, arch, str(version))
    content = _intact_content(path) if path else None
    if content is None:
        compiled = compile_kernels(source, [name], arch)
        content = compiled.names[0].encode() + b"\0" + compiled.image
        if path:
            _publish(path, content)
    mangled, _, image = content.partition(b"\0")
    return mangled.decode(), image


def _cache_path(source: str, name: str, arch: str, version: str) -> Path | None:
    """Where an instance is kept, by everything its code depends on; None without a cache."""
    try:
        folder = build.cache_folder()
    except OSError as error:
        logger.info("CUDA kernels are not cached: %s", error)
        return None
    texts = [path.read_text() for path in (SOURCES / source, *sorted(SOURCES.glob("*.h")))]
    digest = hashlib.sha256("\0".join([*texts, *OPTIONS, name, arch, version]).encode())
    return folder / f"{Path(source).stem}-{arch}-{digest.hexdigest()[:24]}.bin"


def _intact_content(path: Path) -> bytes | None:
    """What follows the digest at the beginning of the file, if it is what was written."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    digest, content = data[:32], data[32:]
    return content if hashlib.sha256(content).digest() == digest else None


def _publish(path: Path, content: bytes) -> None:
    """Write a file that nobody ever sees half of. Two processes may; they write the same."""
    build.remove_stale_builds(path.parent)
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix="build-")
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(content).digest() + content)
        os.replace(temporary, path)
    except OSError as error:
        logger.info("%s is not cached: %s", path.name, error)


def _function(index: int, source: str, name: str) -> Any:
    """A loaded kernel. The device must be current."""
    from cuda.bindings import driver

    key = index, source, name
    with _lock:
        _make_context_current(driver, index)
        if key not in _functions:
            mangled, image = load_image(source, name, torch.cuda.get_device_capability(index))
            module = _check(driver.cuModuleLoadData(image), driver)
            function = _check(driver.cuModuleGetFunction(module, mangled.encode()), driver)
            _allow_shared_memory(driver, function)
            _functions[key] = function
    return _functions[key]


def _make_context_current(driver: Any, index: int) -> None:
    """Threads that torch has not used yet (autograd's) may have none."""
    _check(driver.cuInit(0), driver)
    if int(_check(driver.cuCtxGetCurrent(), driver)) == 0:
        context = _check(driver.cuDevicePrimaryCtxRetain(index), driver)
        _check(driver.cuCtxSetCurrent(context), driver)


def _allow_shared_memory(driver: Any, function: Any) -> None:
    """More than 48 KB of shared memory per block, and as many blocks as fit, must be asked for."""
    from custom_ops.cuda_plan import SHARED_LIMIT

    names = driver.CUfunction_attribute
    for attribute, value in (
        (names.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, SHARED_LIMIT),
        (names.CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT, 100),
    ):
        _check(driver.cuFuncSetAttribute(function, attribute, value), driver)


def launch(
    source: str,
    name: str,
    call: ctypes.Structure,
    blocks: int,
    shared_bytes: int,
    device: torch.device,
) -> None:
    """Run `blocks` blocks of a kernel with one argument, `call`, on torch's current stream."""
    from cuda.bindings import driver

    with torch.cuda.device(device):
        function = _function(_index(device), source, name)
        stream = torch.cuda.current_stream().cuda_stream
        arguments = (ctypes.c_void_p * 1)(ctypes.addressof(call))
        grid, block = (blocks, 1, 1), (THREADS, 1, 1)
        address = ctypes.addressof(arguments)
        _check(
            driver.cuLaunchKernel(function, *grid, *block, shared_bytes, stream, address, 0), driver
        )
