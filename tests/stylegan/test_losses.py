"""Losses against numpy's formulas, R1 against closed form and finite differences."""

import numpy as np
import pytest
import torch
from tiny_models import BATCH, real_batch, tiny_discriminator

from stylegan.losses import discriminator_loss, generator_loss, r1_penalty

REAL = np.array([-30.0, -1.5, 0.0, 0.25, 4.0, 40.0])
FAKE = np.array([25.0, -3.0, 0.5, 0.0, -40.0, 1.0])


def logits(values):
    return torch.from_numpy(values).float()[:, None]


def sigmoid(x):
    return 1 / (1 + np.exp(-x.astype(np.longdouble)))


def test_generator_loss():
    expected = -np.log(sigmoid(FAKE)).mean()
    assert generator_loss(logits(FAKE)).item() == pytest.approx(float(expected), rel=1e-6)


def test_discriminator_loss():
    expected = -np.log(sigmoid(REAL)).mean() - np.log(sigmoid(-FAKE)).mean()
    assert discriminator_loss(logits(REAL), logits(FAKE)).item() == pytest.approx(
        float(expected), rel=1e-6
    )


def test_losses_stay_finite_where_the_sigmoid_is_zero():
    assert generator_loss(torch.tensor([[-500.0]])).item() == pytest.approx(500)
    assert discriminator_loss(torch.tensor([[-500.0]]), torch.tensor([[500.0]])).item() == 1000


def test_r1_of_a_linear_discriminator_is_the_square_of_its_weights():
    w = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0))
    x = torch.randn(7, 3, 5, 4, requires_grad=True)
    penalty = r1_penalty((x * w).sum([1, 2, 3])[:, None] + 3, x)
    assert penalty.item() == pytest.approx(np.square(w.numpy().astype(float)).sum(), rel=1e-6)


def smooth_discriminator():
    torch.manual_seed(2)
    layers = [torch.nn.Conv2d(3, 4, 3), torch.nn.Softplus(), torch.nn.Flatten()]
    return torch.nn.Sequential(*layers, torch.nn.Linear(16, 1)).double()


def finite_difference_r1(D, x, h=1e-5):
    total = 0.0
    for n in range(len(x)):
        for place in np.ndindex(*x.shape[1:]):
            ahead, behind = x[n : n + 1].clone(), x[n : n + 1].clone()
            ahead[0][place] += h
            behind[0][place] -= h
            total += ((D(ahead) - D(behind)).item() / (2 * h)) ** 2
    return total / len(x)


def test_r1_against_finite_differences():
    D, x = smooth_discriminator(), torch.randn(3, 3, 4, 4, dtype=torch.double)
    with torch.no_grad():
        expected = finite_difference_r1(D, x)
    leaf = x.clone().requires_grad_()
    assert r1_penalty(D(leaf), leaf).item() == pytest.approx(expected, rel=1e-7)


def test_gradient_of_r1_against_finite_differences():
    D, x = smooth_discriminator(), torch.randn(2, 3, 4, 4, dtype=torch.double)
    leaf = x.clone().requires_grad_()
    r1_penalty(D(leaf), leaf).backward()
    weight, place, h = D[0].weight, (1, 2, 0, 1), 1e-5
    with torch.no_grad():
        weight[place] += h
        ahead = finite_difference_r1(D, x)
        weight[place] -= 2 * h
        behind = finite_difference_r1(D, x)
    assert weight.grad[place].item() == pytest.approx((ahead - behind) / (2 * h), rel=1e-4)


def test_r1_of_the_discriminator_is_its_slope_along_the_gradient():
    D, x = tiny_discriminator(), real_batch().requires_grad_()
    penalty = r1_penalty(D(x), x).item()
    (grad,) = torch.autograd.grad(D(x).sum(), x)
    h = 1e-3 / grad.norm()
    with torch.no_grad():
        slope = (D(x + h * grad).sum() - D(x - h * grad).sum()) / (2 * h)
    assert slope.item() / BATCH == pytest.approx(penalty, rel=0.02)
