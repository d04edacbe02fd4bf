"""LPIPS from given weights: the package's own numbers, gradients, and files that are refused."""

import lpips
import pytest
import torch
from safetensors.torch import save_file

import runtime
from evaluation.perceptual import PerceptualError, load_lpips


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return lpips.LPIPS(net="alex", pretrained=False, pnet_rand=True, verbose=False).eval()


@pytest.fixture(scope="module")
def weights(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("lpips") / "alex.safetensors"
    save_file({k: v.clone() for k, v in network.state_dict().items()}, path)
    return path


def test_distances_are_those_of_the_package(network, weights):
    torch.manual_seed(1)
    a, b = torch.rand(2, 3, 3, 64, 64) * 2 - 1
    b[0] = a[0]
    torch.manual_seed(99)
    distances = load_lpips(weights)
    found = distances(a, b)
    with torch.no_grad():
        torch.testing.assert_close(found, network(a, b).flatten(), rtol=1e-4, atol=1e-6)
    assert found.shape == (3,) and found[0].abs() < 1e-6 < found[1:].abs().min()
    a.requires_grad_(True)
    distances(a, b).sum().backward()
    assert a.grad[1:].any() and a.grad.isfinite().all()


def test_other_files_are_refused(weights, tmp_path):
    (tmp_path / "text").write_text("not weights")
    save_file({"weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    for name in ("nothing", "text", "other.safetensors"):
        with pytest.raises(PerceptualError, match="no weights of LPIPS") as caught:
            load_lpips(tmp_path / name)
        assert str(caught.value).startswith(f"{tmp_path / name}: ")
        assert runtime.exit_code(caught.value.code) == 65
