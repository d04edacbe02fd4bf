"""A ResNet-50 (He et al. 2016) for small one-channel pictures."""

from torch import Tensor, nn
from torchvision.models import resnet50

FEATURES = 2048


class Backbone(nn.Module):
    """torchvision's ResNet-50 with a stem for pictures of about 32 pixels.

    The usual stem (7x7, stride 2, then pooling) would leave 8x8 of 32x32; this one is 3x3 with
    stride 2 and no pooling, and takes one channel. Residual branches start at zero (Goyal et al.
    2017, section 5.1), so that training begins with a shallow network.
    """

    def __init__(self) -> None:
        super().__init__()
        net = resnet50(weights=None, zero_init_residual=True)
        net.conv1 = nn.Conv2d(1, 64, 3, stride=2, padding=1, bias=False)
        net.maxpool = nn.Identity()
        net.fc = nn.Identity()
        self.net = net

    def forward(self, y: Tensor) -> Tensor:  # [N, 1, S, S] -> [N, 2048]
        return self.net(y)
