"""The flow: where it starts, what it learns, and the widths made of its samples."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from encoder.flow import Flow
from encoder.posterior import posterior_factor, second_moment_root


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_an_untrained_flow_samples_the_prior():
    noise = torch.randn(5, 6, generator=seeded())
    assert torch.equal(Flow(6, 3).sample(torch.randn(1, 3), noise), noise)


def test_it_is_small_enough():
    """Issue 6: at most 5 M parameters, with StyleGAN3's own 512-vectors; 16 evaluations."""
    assert sum(p.numel() for p in Flow(512, 2048 + 512).parameters()) <= 5_000_000
    flow, seen = Flow(6, 3), []
    flow.register_forward_hook(lambda *_: seen.append(1))
    flow.sample(torch.zeros(1, 3), torch.zeros(4, 6))
    assert len(seen) <= 16


class Gaussian(nn.Module):
    """The mean velocity for N(m, diag(s^2)), by hand, in a flow's place."""

    def __init__(self, m, s):
        super().__init__()
        self.m, self.s = m, s

    def __call__(self, x, angle, condition):
        cos, sin = angle.cos(), angle.sin()
        variance = cos**2 + sin**2 * self.s**2
        covariance = sin * cos * (self.s**2 - 1)  # of x_a and its velocity
        return cos * self.m + covariance / variance * (x - sin * self.m)


def test_the_exact_velocity_of_a_gaussian_gives_its_samples(monkeypatch):
    """The ODE's exact solution is m + s x_0; the midpoint rule of 8 steps comes close."""
    m, s = torch.tensor([0.5, -1.0, 2.0]), torch.tensor([0.3, 0.7, 1.0])
    flow, noise = Flow(3, 1), torch.randn(500, 3, generator=seeded())
    monkeypatch.setattr(Flow, "__call__", Gaussian(m, s).__call__)
    found = flow.sample(torch.zeros(1, 1), noise)
    assert (found - (m + s * noise)).abs().max() < 0.1
    fine = flow.sample(torch.zeros(1, 1), noise, num_steps=200)
    assert (fine - (m + s * noise)).abs().max() < 1e-3
    assert fine.std(0).numpy() == pytest.approx(s * noise.std(0), rel=1e-2)


def test_losses_against_arithmetic():
    torch.manual_seed(0)
    flow = Flow(4, 2, width=16)
    nn.init.normal_(flow.leave.weight)
    v, noise, condition = torch.randn(7, 4), torch.randn(7, 4), torch.randn(7, 2)
    angle = torch.rand(7, 1) * math.pi / 2
    a, e, truth = angle.numpy(), noise.numpy(), v.numpy()
    x, target = np.cos(a) * e + np.sin(a) * truth, np.cos(a) * truth - np.sin(a) * e
    with torch.no_grad():
        velocity = flow(torch.from_numpy(x), angle, condition).numpy()
        expected = np.square(velocity - target).mean(1)
        found = flow.losses(v, condition, noise, angle).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_it_learns_a_linear_gaussian_posterior():
    """y = v_0 + e with e ~ N(0, 1/4), v ~ N(0, I): v_0 | y ~ N(0.8 y, 0.2), v_1 stays as it is."""
    torch.manual_seed(0)
    flow = Flow(2, 1, width=48)
    adam = torch.optim.Adam(flow.parameters(), 4e-3)
    for step in range(700):
        adam.param_groups[0]["lr"] = 4e-3 * (1 + math.cos(math.pi * step / 700)) / 2
        v = torch.randn(512, 2)
        y = v[:, :1] + torch.randn(512, 1) / 2
        loss = flow.losses(v, y, torch.randn(512, 2), torch.rand(512, 1) * math.pi / 2).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    for y in (-1.5, 0.0, 1.0):
        with torch.no_grad():
            found = flow.sample(torch.tensor([[y]]), torch.randn(4000, 2, generator=seeded(1)))
        assert found[:, 0].mean().item() == pytest.approx(0.8 * y, abs=0.06)
        assert found[:, 1].mean().item() == pytest.approx(0, abs=0.06)
        assert found.std(0).tolist() == pytest.approx([math.sqrt(0.2), 1], rel=0.08)


def test_samples_are_apart_from_each_other():
    torch.manual_seed(0)
    flow = Flow(4, 2, width=16)
    nn.init.normal_(flow.leave.weight)
    condition, noise = torch.randn(1, 2), torch.randn(5, 4)
    with torch.no_grad():
        together = flow.sample(condition, noise)
        for k in range(5):
            alone = flow.sample(condition, noise[k : k + 1])[0]
            torch.testing.assert_close(alone, together[k], rtol=0, atol=1e-5)


# --- widths ------------------------------------------------------------------------------------


def test_root_of_few_errors():
    """Fewer errors than dimensions: a singular second moment, still a real root."""
    errors = torch.randn(5, 16, generator=seeded())
    root = second_moment_root(errors).double().numpy()
    np.testing.assert_allclose(root, root.T, atol=1e-7)
    np.testing.assert_allclose(root @ root, errors.T.double() @ errors.double() / 5, atol=1e-5)


def test_factor_lies_between_the_usual_and_the_samples():
    usual = torch.diag(torch.tensor([1.0, 0.5, 0.2, 1.0]))
    true = torch.diag(torch.tensor([0.1, 0.5, 0.4, 2.0]))
    for num in (2, 9, 20_000):
        samples = 3 + torch.randn(num, 4, generator=seeded(num)) @ true
        root = posterior_factor(samples, usual).double().numpy()
        weight = (num - 1) / (num - 1 + 4)
        expected = weight * np.cov(samples.T) + (1 - weight) * (usual @ usual).double().numpy()
        np.testing.assert_allclose(root @ root, expected, atol=1e-5)
        assert (np.linalg.eigvalsh(root) > 0).all()
