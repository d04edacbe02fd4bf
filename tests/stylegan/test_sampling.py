"""Pictures of seeds, and walks through them."""

import numpy as np
import pytest
import torch

from stylegan.sampling import (
    ClassLabelError,
    class_label,
    closed_walk,
    seed_latents,
    seed_ws,
    synthesize,
)
from tests.tiny_models import G_CONFIG, tiny_generator

SEEDS = [3, 0, 2**32 - 1]


def test_a_seed_is_the_latent_that_stylegan_users_know() -> None:
    """Whoever draws `np.random.RandomState(seed).randn(1, z_dim)` draws these numbers."""
    expected = [np.random.RandomState(seed).randn(1, 5)[0] for seed in SEEDS]
    assert np.allclose(seed_latents(SEEDS, 5).numpy(), expected, rtol=1e-7)
    first = [1.764052, 0.400157, 0.978738, 2.240893, 1.867558]  # of seed 0, in many a tutorial
    assert np.allclose(seed_latents([0], 5).numpy()[0], first, atol=1e-6)


def test_truncation_draws_towards_the_mean() -> None:
    G = tiny_generator()
    G.mapping.w_avg.normal_()
    whole, half, none = (seed_ws(G, SEEDS, psi) for psi in (1, 0.5, 0))
    assert whole.shape == (3, G_CONFIG.num_ws, G_CONFIG.w_dim)
    assert torch.allclose(none, G.mapping.w_avg.expand_as(none))
    assert torch.allclose(half, (whole + none) / 2, atol=1e-6)


def test_no_seed_depends_on_the_others() -> None:
    G = tiny_generator()
    together = list(synthesize(G, seed_ws(G, SEEDS, 0.7)))
    for seed, picture in zip(SEEDS, together, strict=True):
        [alone] = synthesize(G, seed_ws(G, [seed], 0.7))
        assert torch.equal(alone, picture)


def test_labels_are_one_hot_and_change_the_picture() -> None:
    assert class_label(0, None) is None
    assert class_label(3, 2).tolist() == [[0, 0, 1]]
    G = tiny_generator(config=type(G_CONFIG)(**{**G_CONFIG.to_dict(), "c_dim": 3}))
    first, second = (seed_ws(G, [1], c=class_label(3, k)) for k in (0, 1))
    assert not torch.allclose(first, second)


@pytest.mark.parametrize(
    ("c_dim", "index", "advice"),
    [(3, None, "Give --class 0 to 2"), (3, 3, "Give --class 0 to 2"), (0, 0, "Leave --class out")],
)
def test_other_classes_are_refused(c_dim: int, index: int | None, advice: str) -> None:
    with pytest.raises(ClassLabelError, match=advice):
        class_label(c_dim, index)


def test_a_walk_passes_every_seed_and_closes_smoothly() -> None:
    ws = torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(0))
    path = closed_walk(ws, steps=200)
    assert path.shape == (1000, 3, 4) and path.dtype == ws.dtype
    assert torch.allclose(path[::200], ws, atol=1e-6)
    loop = torch.cat([path, path[:3]]).double()
    velocity = loop.diff(dim=0) * 200
    acceleration = velocity.diff(dim=0) * 200
    jumps = acceleration.diff(dim=0).flatten(1).norm(dim=1)
    assert jumps[-2:].max() <= 3 * jumps.median()  # at the seam as anywhere
    assert jumps.max() < 0.1 * acceleration.norm(dim=(1, 2)).max()


def test_a_walk_through_a_circle_is_nearly_one() -> None:
    angles = torch.arange(8) * (2 * np.pi / 8)
    ws = torch.stack([angles.cos(), angles.sin()], 1)[:, None]
    path = closed_walk(ws, steps=10)
    assert (path.norm(dim=2) - 1).abs().max() < 5e-3
