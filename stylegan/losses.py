"""Losses of adversarial training, as pure functions."""

import torch
import torch.nn.functional as F
from torch import Tensor


def generator_loss(fake_logits: Tensor) -> Tensor:
    """Non-saturating logistic loss `-log sigmoid(D(G(z)))` (Goodfellow et al. 2014)."""
    return F.softplus(-fake_logits).mean()


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Logistic loss `-log sigmoid(D(x)) - log(1 - sigmoid(D(G(z))))`."""
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


def r1_penalty(real_logits: Tensor, reals: Tensor) -> Tensor:
    """Gradient penalty `E |grad_x D(x)|^2` on real pictures (Mescheder et al. 2018, eq. 9)."""
    (grad,) = torch.autograd.grad(real_logits.sum(), reals, create_graph=True)
    return grad.square().sum([1, 2, 3]).mean()
