"""The discriminator's minibatch statistics against a loop, and what it refuses."""

import numpy as np
import pytest
import torch
from tiny_models import D_CONFIG, real_batch, tiny_discriminator

from stylegan.config import ConfigError, DiscriminatorConfig
from stylegan.discriminator import minibatch_std


def loop_std(x, group_size, num_channels):
    num, channels, height, width = x.shape
    num_groups, part = num // group_size, channels // num_channels
    extra = np.zeros((num, num_channels, height, width))
    for n in range(num):
        group = x[n % num_groups :: num_groups]
        assert len(group) == group_size
        for k in range(num_channels):
            slab = group[:, k * part : (k + 1) * part]
            extra[n, k] = np.sqrt(slab.var(axis=0) + 1e-8).mean()
    return np.concatenate([x, extra], axis=1)


@pytest.mark.parametrize(
    ("num", "group_size", "num_channels"), [(8, 4, 1), (8, 2, 1), (6, 3, 2), (4, 1, 1), (12, 4, 4)]
)
def test_minibatch_std_against_a_loop(num, group_size, num_channels):
    x = np.random.default_rng(0).normal(size=(num, 8, 3, 5))
    result = minibatch_std(torch.from_numpy(x), group_size, num_channels).numpy()
    np.testing.assert_allclose(result, loop_std(x, group_size, num_channels), rtol=1e-12)


def test_a_batch_smaller_than_a_group_is_one_group():
    x = np.random.default_rng(0).normal(size=(3, 4, 2, 2))
    result = minibatch_std(torch.from_numpy(x), 8, 1).numpy()
    np.testing.assert_allclose(result, loop_std(x, 3, 1), rtol=1e-12)


def test_a_batch_that_does_not_divide_is_refused():
    with pytest.raises(ConfigError, match="batch of 6: not divisible by the group size 4"):
        tiny_discriminator()(torch.zeros(6, 3, 16, 16))


def test_the_group_decides_only_through_its_own_samples():
    """Samples 0, 2, ... form one group of two, samples 1, 3, ... the other."""
    D = tiny_discriminator(
        config=DiscriminatorConfig(**D_CONFIG.to_dict() | {"mbstd_group_size": 2})
    )
    x = real_batch()
    before = D(x)
    x[0] *= -1
    after = D(x)
    assert torch.equal((before != after).flatten(), torch.tensor([True, False, True, False]))


def test_bfloat16_is_close_to_float32():
    D, x = tiny_discriminator(), real_batch()
    exact, coarse = D(x), D(x, precision="bf16")
    assert coarse.dtype == torch.float32
    assert 0 < (coarse - exact).abs().max() < 0.05 * max(exact.abs().max(), 1)


def test_missing_labels_are_refused():
    D = tiny_discriminator(config=DiscriminatorConfig(**D_CONFIG.to_dict() | {"c_dim": 3}))
    with pytest.raises(ValueError, match="give labels c"):
        D(real_batch())
    assert D(real_batch(), torch.eye(4)[:, :3]).shape == (4, 1)
