"""The smallest networks with every part, and how to compare states, for tests of training."""

import hashlib
from dataclasses import replace

import torch
from torchvision.models.resnet import Bottleneck, ResNet

from engine.ranks import ALONE
from stylegan import Discriminator, DiscriminatorConfig, Generator, GeneratorConfig
from stylegan.adaptation import NO_AUGMENTATION
from stylegan.recipe import TrainingConfig
from stylegan.training import Trainer

G_CONFIG = GeneratorConfig(
    z_dim=16,
    w_dim=16,
    img_resolution=16,
    channel_base=128,
    channel_max=8,
    num_layers=4,
    margin_size=4,
    first_cutoff=2,
    first_stopband=4,
)
D_CONFIG = DiscriminatorConfig(img_resolution=16, channel_base=128, channel_max=8)
BATCH = 4


def tiny_generator(seed=0, config=G_CONFIG):
    torch.manual_seed(seed)
    return Generator(config).eval()


def tiny_discriminator(seed=1, config=D_CONFIG):
    torch.manual_seed(seed)
    return Discriminator(config)


def tiny_trainer(seed=0, adaptation=NO_AUGMENTATION, labels=None, ranks=ALONE, group=4, **recipe):
    config = TrainingConfig(**{"total_steps": 100, "batch": BATCH, **recipe})
    c_dim = 0 if labels is None else labels.shape[1]
    G = tiny_generator(seed, replace(G_CONFIG, c_dim=c_dim))
    d_config = replace(D_CONFIG, c_dim=c_dim, mbstd_group_size=group)
    return Trainer(G, tiny_discriminator(seed + 1, d_config), config, adaptation, labels, ranks)


def real_batch(step=0):
    generator = torch.Generator().manual_seed(1000 + step)
    coarse = torch.rand(BATCH, 3, 4, 4, generator=generator) * 2 - 1
    return torch.nn.functional.interpolate(coarse, (16, 16), mode="bilinear")


def digest(value):
    """Hash a nested state: names, types, shapes and bytes of everything in it."""
    if isinstance(value, torch.Tensor):
        content = f"{value.dtype} {tuple(value.shape)}".encode() + value.numpy().tobytes()
    elif isinstance(value, dict):
        content = b"".join(f"{key!r}:{digest(value[key])}".encode() for key in value)
    elif isinstance(value, list | tuple):
        content = b"".join(digest(item).encode() for item in value)
    else:
        content = repr(value).encode()
    return hashlib.sha256(type(value).__name__.encode() + content).hexdigest()


def small_resnet(weights=None, **options):
    """ResNet-50's kind of network with a tenth of the weights: put it in `encoder.backbone`."""
    assert weights is None, "nothing may be downloaded"
    return ResNet(Bottleneck, [1, 1, 1, 1], width_per_group=8, **options)
