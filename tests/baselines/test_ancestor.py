"""The direct ancestor: what it learns from, and how its candidates come about."""

import dataclasses

import numpy as np
import pytest
import torch
from tiny_models import digest, small_resnet, tiny_generator

from baselines.ancestor import (
    Ancestor,
    AncestorTrainer,
    AncestorTrainingConfig,
    Renders,
    load_ancestor,
    new_ancestor,
    train,
)
from engine.seeding import derive_generator
from evaluation.methods import method_of
from stylegan.checkpoint import CheckpointError, save_generator, save_weights


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr("encoder.gaussian.resnet50", small_resnet)


@pytest.fixture
def path(tmp_path):
    save_generator(tmp_path / "g.safetensors", tiny_generator())
    return tmp_path / "g.safetensors"


def trainer(path, steps=4):
    G = tiny_generator()
    torch.manual_seed(0)
    config = AncestorTrainingConfig(steps, 4)
    return AncestorTrainer(new_ancestor(G, path), config, Renders(G, 0, 8))


def test_pairs_are_truncated_and_reduced_as_published():
    G = tiny_generator()
    y, w = Renders(G, 0, 8).draw("ancestor", 4, 2)
    with torch.no_grad():
        x = G.synthesis(w[:, None].expand(-1, G.config.num_ws, -1)).clamp(-1, 1)
    z = torch.randn(4, G.config.z_dim, generator=derive_generator(0, "ancestor", 2))
    mean, full = G.mapping.w_avg, G.mapping(z)[:, 0]
    torch.testing.assert_close(w, mean + 0.7 * (full - mean))
    every_second = x.double().numpy()[:, :, ::2, ::2]
    np.testing.assert_allclose(y[:, 0], every_second.mean(1), atol=1e-5)
    plain = Renders(G, 0, 8)
    again, _ = plain.draw("ancestor", 4, 2)
    assert torch.equal(again, y)
    assert not torch.equal(plain.draw("held-out", 4, 2)[0], y)


def test_loss_is_the_squared_error_of_w(path):
    one = trainer(path)
    y, w = one.renders.draw("ancestor", 4, 0)
    kept = {k: v.clone() for k, v in one.encoder.state_dict().items()}
    with torch.no_grad():
        expected = (one.encoder.mean(y) - w).double().square().mean().item()
    one.encoder.load_state_dict(kept)
    assert one.step().item() == pytest.approx(expected, rel=1e-4)


def test_resuming_is_bit_exact(path):
    straight, parts = trainer(path), trainer(path)
    list(train(straight))
    parts.step()
    again = trainer(path)
    again.load_state_dict(parts.state_dict())
    assert [step for step, _ in train(again)] == [2, 3, 4]
    assert digest(again.state_dict()) == digest(straight.state_dict())
    state = straight.state_dict() | {"generator_sha256": "0" * 64}
    with pytest.raises(CheckpointError, match="another generator"):
        again.load_state_dict(state)


def test_candidates_share_the_coarse_half_and_nothing_else(path):
    one = trainer(path)
    G, encoder = one.renders.G, one.encoder.eval()
    seen = []
    G.synthesis.register_forward_hook(lambda m, args, out: seen.append(args[0]))
    y = torch.zeros(1, 1, 12, 12)
    pictures = Ancestor(encoder, G, 3, finished=20)(y)
    assert pictures.shape == (3, 3, 20, 20)
    [ws] = seen
    half = G.config.num_ws // 2
    with torch.no_grad():
        assert (ws[:, :half] == encoder.mean(y)[:, None]).all()
    assert (ws[:, half:] == ws[:, half : half + 1]).all()
    assert len({tuple(row) for row in ws[:, -1].tolist()}) == 3
    assert torch.equal(Ancestor(encoder, G, 2)(y), Ancestor(encoder, G, 3)(y)[:2])


def test_stored_and_loaded(path, tmp_path):
    one = trainer(path)
    G, encoder = one.renders.G, one.encoder.eval()
    file = tmp_path / "a.safetensors"
    save_weights(file, "ancestor", dataclasses.asdict(encoder.config), encoder.state_dict())
    method = method_of(load_ancestor(file, G, path, 2))
    x, y = torch.zeros(1, 3, 16, 16), torch.rand(1, 1, 8, 8)
    pictures = method.solve(method.see(x, y)).pictures
    assert method.name == "ancestor"
    torch.testing.assert_close(pictures, Ancestor(encoder, G, 2)(y))
    save_generator(path, tiny_generator(5))
    with pytest.raises(CheckpointError, match="another generator"):
        load_ancestor(file, G, path, 2)
