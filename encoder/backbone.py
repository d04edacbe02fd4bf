"""A ResNet-50 (He et al. 2016) for small grey pictures of any size on a canvas of one size."""

from torch import Tensor, nn
from torchvision.models import resnet50

FEATURES = 2048
CANVAS, PATCH = 128, 8  # sides in pixels; 128 / 8 = 16 places


def _group_norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(min(32, channels), channels)


class Backbone(nn.Module):
    """torchvision's ResNet-50 with a stem that loses nothing, and that is told about its input.

    The stem of the original (7x7, stride 2, pooling) is made for 224 pixels. Here blocks of 8x8
    pixels become channels (Shi et al. 2016, the inverse of their shuffle), so that the residual
    layers see 16x16 places whatever the input's size: one of 16 pixels as finely as it is, one of
    128 with all of its pixels, at one price. What is told scales and shifts the stem's features
    (FiLM, Perez et al. 2018). Groups are normalised, not batches (Wu and He 2018): a sample's
    features do not depend on the others', nor on how many processes share them. Residual branches
    start at zero (Goyal et al. 2017, section 5.1).
    """

    def __init__(self, channels: int, told: int) -> None:
        super().__init__()
        net = resnet50(weights=None, zero_init_residual=True, norm_layer=_group_norm)
        net.conv1 = nn.Conv2d(channels * PATCH**2, 64, 3, padding=1, bias=False)
        net.maxpool = nn.Identity()
        net.fc = nn.Identity()
        self.net = net
        self.blocks = nn.PixelUnshuffle(PATCH)
        self.film = nn.Linear(told, 2 * 64)
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)

    def forward(self, canvas: Tensor, told: Tensor) -> Tensor:
        """Return features `[N, 2048]` of `[N, channels, 128, 128]` and what is told `[N, told]`."""
        net = self.net
        scale, shift = self.film(told)[:, :, None, None].chunk(2, dim=1)
        x = net.relu(net.bn1(net.conv1(self.blocks(canvas))) * (1 + scale) + shift)
        for layer in (net.layer1, net.layer2, net.layer3, net.layer4):
            x = layer(x)
        return net.avgpool(x).flatten(1)
