"""Augmentation on a GPU gives the pictures and gradients of the CPU: `python -m pytest -m gpu`."""

import pytest
import torch
from augment_case import noise

from stylegan.augment import augment, draw_numbers

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def augmented(device, p):
    images = noise(16, 64).to(device).requires_grad_()
    changed = augment(images, p, draw_numbers(0, "gpu", range(16)))
    (grad,) = torch.autograd.grad(changed.square().sum(), images, create_graph=True)
    (second,) = torch.autograd.grad(grad.square().sum(), images)
    return [t.detach().cpu() for t in (changed, grad, second)]


@pytest.mark.parametrize("p", [0.3, 1.0])
def test_pictures_and_gradients_are_those_of_the_cpu(p):
    for ours, expected in zip(augmented("cuda", p), augmented("cpu", p), strict=True):
        assert (ours - expected).abs().max() < 1e-3 * expected.abs().max()
