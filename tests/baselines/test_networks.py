"""The U-Net and the discriminator: sizes of the papers, and what each output can see."""

import pytest
import torch
from torch import nn

from baselines.patchgan import PATCH_70, WHOLE, PatchGAN, field_of_view
from baselines.unet import UNet, UNetConfig, initialise
from stylegan.checkpoint import CheckpointError, save_weights
from stylegan.config import ConfigError


def unet(depth=5, **more):
    torch.manual_seed(0)
    return UNet(UNetConfig(1, 3, depth, width=4, **more))


def test_shape_and_range():
    out = unet()(torch.randn(2, 1, 32, 32) * 5)
    assert out.shape == (2, 3, 32, 32) and out.abs().max() <= 1
    assert unet(mobilenet=True)(torch.randn(2, 1, 64, 64)).shape == (2, 3, 64, 64)


def test_layers_of_pix2pix_at_256():
    """Eight halvings to 1x1, 64-128-256-512..., 54.4 million weights (Isola et al. 2017, 6.1.1)."""
    with torch.device("meta"):
        net = UNet(UNetConfig(3, 3, 8))
        seen = net.down(torch.empty(2, 3, 256, 256))
    assert [t.shape[1] for t in seen] == [64, 128, 256, 512, 512, 512, 512, 512]
    assert seen[-1].shape[2:] == (1, 1)
    assert sum(p.numel() for p in net.parameters()) == pytest.approx(54.4e6, rel=0.001)


def test_the_whole_picture_and_the_same_place_reach_each_pixel():
    net = unet().eval()
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0, 0.3)
    x = torch.randn(1, 1, 32, 32, requires_grad=True)
    net(x)[0, 0, 3, 3].backward()
    assert (x.grad != 0).all()
    net.last.weight.data[: net.last.in_channels // 2] = 0  # what came up; the skip is left
    x.grad = None
    net(x)[0, 0, 3, 3].backward()
    rows, columns = x.grad[0, 0].nonzero().T
    assert len(rows) and max(rows.max(), columns.max()) < 8


def test_dropout_is_in_the_innermost_doublings():
    net = unet(dropout=2)
    has = [any(isinstance(part, nn.Dropout) for part in layer) for layer in net.up]
    assert has == [True, True, False, False]


def test_mobilenet_gives_every_size_once():
    down = unet(mobilenet=True).down
    seen = down(torch.randn(1, 1, 64, 64))
    assert [t.shape[-1] for t in seen] == [32, 16, 8, 4, 2]
    assert [t.shape[1] for t in seen] == down.widths


def test_mobilenet_takes_weights_from_a_file(tmp_path):
    from safetensors.torch import save_file
    from torchvision.models import mobilenet_v2

    torch.manual_seed(7)
    whole = mobilenet_v2(weights=None)
    save_file(whole.state_dict(), tmp_path / "weights.safetensors")
    down = unet(mobilenet=True).down
    down.load(tmp_path / "weights.safetensors")
    assert torch.equal(down.layers[3].conv[0][0].weight, whole.features[3].conv[0][0].weight)
    save_weights(tmp_path / "other.safetensors", "other", {}, {"a": torch.ones(2)})
    for name in ("none", "other"):
        with pytest.raises(CheckpointError, match=rf"{name}\.safetensors: no weights of Mobile"):
            down.load(tmp_path / f"{name}.safetensors")


def test_weights_are_drawn_as_said():
    net = UNet(UNetConfig(1, 3, 5, width=32, mobilenet=False))
    initialise(net, 0.05)
    assert net.down.layers[2][0].weight.std().item() == pytest.approx(0.05, rel=0.05)
    assert net.up[0][1].weight.mean().item() == pytest.approx(1, abs=0.03)
    net = unet(mobilenet=True)
    before = net.down.layers[0][0].weight.clone()
    initialise(net, 0.01)
    assert torch.equal(net.down.layers[0][0].weight, before)


@pytest.mark.parametrize("changes", [{"depth": 0}, {"depth": 4, "mobilenet": True}, {"width": 0}])
def test_impossible_networks(changes):
    with pytest.raises(ConfigError):
        UNetConfig(**{"in_channels": 1, "out_channels": 3, "depth": 5, **changes})


@pytest.mark.parametrize(
    ("strides", "side", "logits"), [(PATCH_70, 256, 30), (PATCH_70, 64, 6), (WHOLE, 64, 1)]
)
def test_number_of_opinions(strides, side, logits):
    judge = PatchGAN(4, strides, width=2)
    out = judge(torch.randn(2, 1, side, side), torch.randn(2, 3, side, side))
    assert out.shape == (2, 1, logits, logits)


def test_an_opinion_depends_on_a_patch_of_70():
    judge = PatchGAN(2, PATCH_70, width=2).eval()
    for p in judge.parameters():
        nn.init.constant_(p, 0.1)
    seen = torch.rand(1, 1, 256, 256, requires_grad=True)
    judge(seen, seen)[0, 0, 15, 15].backward()
    rows, columns = seen.grad[0, 0].nonzero().T
    assert rows.max() - rows.min() + 1 == columns.max() - columns.min() + 1 == 70
    assert field_of_view(PATCH_70) == 70


def test_both_the_input_and_the_picture_are_judged():
    judge = PatchGAN(4, PATCH_70, width=2).eval()
    seen, picture = torch.randn(1, 1, 32, 32), torch.randn(1, 3, 32, 32)
    assert not torch.equal(judge(seen, picture), judge(-seen, picture))
    assert not torch.equal(judge(seen, picture), judge(seen, -picture))
