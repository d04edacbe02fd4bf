"""The width of a posterior: roots of covariances, to precondition a descent with."""

import torch
from torch import Tensor


def second_moment_root(errors: Tensor) -> Tensor:
    """Return the symmetric root `[dim, dim]` of the second moment of `errors [K, dim]`."""
    errors = errors.double()
    return _root(errors.T @ errors / len(errors)).float()


def posterior_factor(samples: Tensor, usual: Tensor) -> Tensor:
    """Return the symmetric root of the covariance of one posterior, from a few of its samples.

    The mean of an inverse Wishart posterior whose prior is the usual covariance, worth as many
    samples as there are dimensions: few samples leave it as it is, many replace it.

    Args:
        samples: `v [K, dim]`, K >= 2, of `Flow.sample`.
        usual: root of the usual covariance, `Encoder.residual_sqrt_cov` `[dim, dim]`.
    """
    num, dim = samples.shape
    usual = usual.double()
    scatter = (num - 1) * samples.double().T.cov()
    return _root((scatter + dim * usual @ usual) / (num - 1 + dim)).to(samples)


def _root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T
