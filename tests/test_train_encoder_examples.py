# ruff: noqa: F811
"""What train_encoder.py lets an encoder learn from: renders of a tiny generator, degraded."""

import dataclasses

import numpy as np
import torch
from PIL import Image
from tiny_models import digest
from train_encoder_case import data, examples, generator_path, plain, small  # noqa: F401

import train_encoder
from data.dataset import ImageDataset

BICUBIC = Image.Resampling.BICUBIC


def resized(channel, side):
    small = Image.fromarray(channel.astype(np.float32)).resize((side, side), BICUBIC)
    return np.asarray(small)


def finished_and_reduced(x, side):
    """Enlarge `[3, R, R]` to 256 as finished pictures are, make it grey and small, by Pillow."""
    large = np.stack([resized(channel, 256).clip(-1, 1) for channel in x])
    return resized(np.tensordot([0.299, 0.587, 0.114], large, 1), side).clip(-1, 1)


def test_plain_examples_are_small_grey_pictures_of_their_latents(plain):
    batch = plain.held_out(3)
    with torch.no_grad():
        x = plain.G.synthesis(plain.prior.to_ws(batch.v)).clamp(-1, 1).double().numpy()
    assert batch.look.canvas.shape == (3, 1, 128, 128) and batch.v.shape == (3, 16)
    for k in range(3):
        small = np.rint((finished_and_reduced(x[k], 32) + 1) * 127.5) / 127.5 - 1
        seen = resized(small, 128)
        error = np.abs(batch.look.canvas[k, 0].numpy() - seen)
        assert error.mean() < 0.2 / 255 and error.max() <= 4 / 255  # one level is 2 / 255
    assert torch.equal(batch.look.told[:, :2], torch.tensor([[0.0, 1.0]]).expand(3, -1))
    assert not batch.look.told[:, 2:].any(), "told that nothing else was done"


def test_examples_depend_on_seed_and_index_alone(examples):
    def drawn(seed, indices):
        spoil = train_encoder.Spoiler(examples.G, seed)
        batch = dataclasses.replace(examples, spoil=spoil, seed=seed).batch("training", indices)
        return batch.look.canvas, batch.look.told, batch.v

    whole, part = drawn(0, range(8)), drawn(0, range(4, 8))
    for one, other in zip(whole, part, strict=True):
        torch.testing.assert_close(one[4:], other, rtol=0, atol=0.02)  # a level may round otherwise
    assert len({digest(drawn(seed, [k])[2]) for seed in (0, 1) for k in (0, 5)}) == 4
    held_out, trained = examples.held_out(50).v, drawn(0, range(80))[2]
    assert torch.cdist(held_out, trained).min() > 0.1, "a held-out latent was trained on"


def test_degradations_are_told_to_about_half(examples):
    batch = examples.batch("training", range(60))
    is_told = batch.look.told[:, 1] == 1
    assert 15 < is_told.sum() < 45
    assert not batch.look.told[~is_told, 1:].any()
    assert batch.look.told[is_told, 2:].any()
    sizes = 32 * batch.look.told[:, 0].exp2()
    assert len(sizes.round().unique()) > 25 and sizes.min() > 15.9 and sizes.max() < 128.1


def test_a_guess_is_measured_as_is_known(examples, monkeypatch):
    """Of what is not told only the size is repeated, and nobody's noise."""
    done = []
    monkeypatch.setattr("data.degrade._degrade", lambda x, d: done.append(d) or x[:, :1])
    monkeypatch.setattr(train_encoder.Spoiler, "_measure", lambda self, x, n: x[:, :1])
    x, indices = torch.zeros(40, 3, 16, 16), range(40)
    told = torch.stack([told for _, told in examples.spoil(x, "training", indices)])
    first, done[:] = list(done), []
    examples.spoil(x, "training", indices, of_guess=True)
    known = [d for d in first if any(d.told().equal(row) for row in told)]
    assert len(known) < len(first)
    expected = [dataclasses.replace(d, noise=0.0) for d in known]
    assert done == [d for d in expected if not d.is_plain]


def test_a_guess_that_is_right_looks_like_the_input(plain):
    batch = plain.batch("training", range(3))
    zero = torch.zeros(3, plain.G.config.num_ws, 16)
    found = batch.measure(batch.v, zero)
    assert (found - batch.look.canvas).abs().max() < 0.03
    assert (batch.measure(-batch.v, zero) - batch.look.canvas).abs().mean() > 0.01


# --- real pictures -----------------------------------------------------------------------------


def test_real_pictures_of_every_fourth_example(examples, data):
    pictures = train_encoder.real_pictures(data, examples.G, 0)
    batch = dataclasses.replace(examples, pictures=pictures).batch("training", range(3, 10))
    assert batch.real.x.shape == (2, 3, 16, 16) and len(batch.real.look.canvas) == 2
    small = [
        np.stack([resized(channel, 16).clip(0, 255) for channel in ImageDataset(data)[k]])
        for k in range(5)
    ]
    for x in batch.real.x:
        levels = (x.numpy() + 1) * 127.5
        assert min(np.abs(levels - picture).max() for picture in small) < 0.01
    assert torch.equal(pictures([4, 8]), batch.real.x)
    assert len({digest(pictures([k])) for k in range(40)}) == 5
