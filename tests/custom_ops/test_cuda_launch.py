"""From a call to the driver and back, with the shim behind a driver of our own."""

import ctypes
import inspect
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from cuda_shim import Shim, built_shim  # noqa: F401

from custom_ops import OpsError, cuda_build, cuda_plan, filtered_lrelu

bindings = pytest.importorskip("cuda.bindings", reason="cuda.bindings is declared for Linux only")
from cuda.bindings import driver as real  # noqa: E402

STREAM, CONTEXT = 1234, 77
X = torch.randn(1, 2, 9, 8, generator=torch.Generator().manual_seed(0))
F = torch.tensor([0.1, 0.5, 0.3, 0.2])


class Driver:
    """What `cuda_build` uses of cuda.bindings.driver; `fails` names a function and its status."""

    CUfunction_attribute = real.CUfunction_attribute

    def __init__(self, shim: Shim) -> None:
        self.shim = shim
        self.fails: dict[str, Any] = {}
        self.calls: list[str] = []
        self.context = 0

    def _answer(self, name: str, *values: Any) -> tuple[Any, ...]:
        self.calls.append(name)
        return (self.fails.get(name, real.CUresult.CUDA_SUCCESS), *values)

    def cuInit(self, flags: int) -> Any:
        return self._answer("cuInit")

    def cuCtxGetCurrent(self) -> Any:
        return self._answer("cuCtxGetCurrent", self.context)

    def cuDevicePrimaryCtxRetain(self, device: int) -> Any:
        return self._answer("cuDevicePrimaryCtxRetain", CONTEXT + device)

    def cuCtxSetCurrent(self, context: int) -> Any:
        self.context = context
        return self._answer("cuCtxSetCurrent")

    def cuModuleLoadData(self, image: bytes) -> Any:
        assert image[:4] == b"\x7fELF"
        return self._answer("cuModuleLoadData", image)

    def cuModuleGetFunction(self, module: bytes, name: bytes) -> Any:
        assert name in module
        return self._answer("cuModuleGetFunction", name)

    def cuFuncSetAttribute(self, function: bytes, attribute: Any, value: int) -> Any:
        return self._answer("cuFuncSetAttribute")

    def cuLaunchKernel(self, f: Any, *rest: Any) -> Any:
        blocks, *ones, shared_bytes, stream, address, extra = rest
        assert (ones, stream, extra) == ([1, 1, 256, 1, 1], STREAM, 0) and self.context
        assert shared_bytes <= cuda_plan.SHARED_LIMIT
        _, source, name = next(k for k, v in cuda_build._functions.items() if v is f)
        call = ctypes.cast(address, ctypes.POINTER(ctypes.c_void_p))[0]
        structure = (ctypes.c_char * 0).from_address(call)
        self.shim.launch(source, name, structure, blocks, shared_bytes, X.device)
        return self._answer("cuLaunchKernel")


@pytest.fixture
def driver(built_shim: Shim, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Driver:  # noqa: F811
    """A machine with one device of compute capability 9.0, which is the CPU."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(cuda_plan, "DEVICE", "cpu")
    for name, empty in (("_outcomes", {}), ("_warned", set()), ("_functions", {})):
        monkeypatch.setattr(cuda_build, name, empty)
    stream = SimpleNamespace(cuda_stream=STREAM)
    for name, value in (
        ("is_available", True),
        ("current_device", 0),
        ("device", nullcontext()),
        ("get_device_capability", (9, 0)),
        ("current_stream", stream),
    ):
        monkeypatch.setattr(torch.cuda, name, lambda *args, value=value: value)
    fake = Driver(built_shim)
    monkeypatch.setattr(bindings, "driver", fake)
    return fake


def _call(impl: str = "auto") -> torch.Tensor:
    return filtered_lrelu(X, F, F, up=2, down=2, padding=4, impl=impl)


def test_it_has_the_functions_of_the_real_driver():
    for name, function in inspect.getmembers(Driver, inspect.isfunction):
        if name.startswith("cu") and name != "cuLaunchKernel":
            theirs = inspect.signature(getattr(real, name)).parameters
            assert len(inspect.signature(function).parameters) - 1 == len(theirs), name
    assert len(inspect.signature(real.cuLaunchKernel).parameters) == 11


def test_a_call_reaches_the_kernel_and_code_is_loaded_once(driver):
    y = _call()
    assert torch.allclose(y, _call("ref"), atol=1e-6) and torch.equal(_call("cuda"), y)
    counts = {name: driver.calls.count(name) for name in driver.calls}
    assert counts["cuModuleLoadData"] == 2  # the probe and the filters
    assert counts["cuLaunchKernel"] == 2 and counts["cuCtxSetCurrent"] == 1
    assert driver.context == CONTEXT


@pytest.mark.parametrize("name", ["cuInit", "cuModuleLoadData", "cuFuncSetAttribute"])
def test_a_driver_that_cannot_load_the_kernels_costs_speed_and_one_warning(driver, caplog, name):
    driver.fails[name] = real.CUresult.CUDA_ERROR_INVALID_VALUE
    for _ in range(2):
        assert torch.equal(_call(), _call("ref"))
    (record,) = caplog.records
    assert "CUDA_ERROR_INVALID_VALUE" in record.message and "\n" not in record.message
    with pytest.raises(OpsError, match="CUDA_ERROR_INVALID_VALUE") as caught:
        _call("cuda")
    assert caught.value.code == "E-OPS-BUILD"


def test_without_the_bindings_there_is_one_warning(driver, monkeypatch, caplog):
    monkeypatch.delattr(bindings, "driver")
    monkeypatch.setitem(sys.modules, "cuda.bindings.driver", None)
    assert torch.equal(_call(), _call("ref")) and torch.equal(_call(), _call("ref"))
    (record,) = caplog.records
    assert "no CUDA kernels (" in record.message and "slower" in record.message


def test_a_launch_that_fails_is_an_error(driver):
    _call()
    driver.fails["cuLaunchKernel"] = real.CUresult.CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES
    with pytest.raises(OpsError, match="LAUNCH_OUT_OF_RESOURCES"):
        _call()
