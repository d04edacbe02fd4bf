"""StyleGAN3: the generator, the discriminator, and training them."""

from stylegan.checkpoint import load_generator
from stylegan.config import DiscriminatorConfig, GeneratorConfig
from stylegan.discriminator import Discriminator
from stylegan.generator import Generator

__all__ = [
    "Discriminator",
    "DiscriminatorConfig",
    "Generator",
    "GeneratorConfig",
    "load_generator",
]
