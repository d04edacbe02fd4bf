"""Which samples a process works on, and what is drawn for them."""

import numpy as np
import pytest
import torch

from stylegan.batching import draw_labels, draw_latents, positions_of_part
from stylegan.config import ConfigError
from stylegan.discriminator import minibatch_std
from stylegan.recipe import TrainingConfig


def test_parts_hold_whole_groups_where_the_statistic_finds_them():
    """8 samples in groups of 2: group g is {g, g + 4}; the second half has groups 2 and 3."""
    assert positions_of_part(8, 2, 1, 2) == [2, 3, 6, 7]
    assert positions_of_part(8, 4, 0, 1) == list(range(8))
    assert positions_of_part(12, 3, 3, 4) == [3, 7, 11]


@pytest.mark.parametrize(("batch", "group", "num_parts"), [(8, 2, 2), (12, 3, 4), (16, 4, 2)])
def test_the_statistic_of_a_part_is_that_of_the_batch(batch, group, num_parts):
    x = torch.randn(batch, 6, 3, 3, generator=torch.Generator().manual_seed(0))
    whole = torch.empty(batch, 7, 3, 3)
    for part in range(num_parts):
        positions = positions_of_part(batch, group, part, num_parts)
        whole[positions] = minibatch_std(x[positions], group, 1)
    torch.testing.assert_close(whole, minibatch_std(x, group, 1), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(("batch", "group", "num_parts"), [(4, 4, 2), (8, 2, 3), (2, 2, 2)])
def test_groups_that_parts_would_tear_are_refused(batch, group, num_parts):
    with pytest.raises(ConfigError, match=f"batch of {batch}: .*--mbstd-group"):
        positions_of_part(batch, group, 0, num_parts)


def test_passes():
    config = TrainingConfig(total_steps=1, batch=32)
    assert [config.num_passes(ranks) for ranks in (1, 2, 8)] == [1, 1, 1]
    config = TrainingConfig(total_steps=1, batch=32, batch_gpu=4)
    assert [config.num_passes(ranks) for ranks in (1, 2, 8)] == [8, 4, 1]


@pytest.mark.parametrize(("batch", "at_a_time", "ranks"), [(8, None, 3), (8, 3, 1), (8, 16, 1)])
def test_batches_that_do_not_divide_are_refused(batch, at_a_time, ranks):
    config = TrainingConfig(total_steps=1, batch=batch, batch_gpu=at_a_time)
    with pytest.raises(ConfigError, match=f"batch of {batch}: not {ranks} processes .*--batch-gpu"):
        config.num_passes(ranks)


def test_latents_belong_to_their_index():
    z = draw_latents(3, "a", range(1000), 16)
    assert torch.equal(draw_latents(3, "a", [7, 5], 16), z[[7, 5]])
    for other in (draw_latents(4, "a", [7, 5], 16), draw_latents(3, "b", [7, 5], 16)):
        assert not torch.equal(other, z[[7, 5]])
    assert abs(z.mean()) < 0.03 and abs(z.std() - 1) < 0.03
    assert len(np.unique(z.numpy(), axis=0)) == 1000


def test_labels_are_those_of_pictures():
    labels = torch.eye(3)[[0, 1, 1, 2, 1, 1, 1, 1]]  # six of eight have class 1
    drawn = draw_labels(0, "a", range(2000), labels)
    assert drawn.shape == (2000, 3) and torch.equal(drawn.sum(1), torch.ones(2000))
    np.testing.assert_allclose(drawn.mean(0), [0.125, 0.75, 0.125], atol=0.03)
    assert torch.equal(draw_labels(0, "a", [8, 2], labels), drawn[[8, 2]])
    assert draw_labels(0, "a", [8, 2], None) is None
