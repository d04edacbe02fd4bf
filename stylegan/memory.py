"""How much memory a training takes, found without taking it."""

import weakref
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from stylegan.config import DiscriminatorConfig, GeneratorConfig
from stylegan.discriminator import Discriminator
from stylegan.generator import Generator
from stylegan.losses import discriminator_loss, generator_loss, r1_penalty

COPIES_OF_G = 5  # weights, gradients, two moments of Adam, average
COPIES_OF_D = 4
FRAGMENTS = 1.15  # of what is alive, an allocator takes more: glibc's 1.1 to 1.3 times that


class Memory(NamedTuple):
    """What one process of a training takes."""

    g_parameters: int
    d_parameters: int
    state_bytes: int  # weights, gradients, Adam and the averaged generator
    activation_bytes: int  # at the peak of a step with R1

    @property
    def total_bytes(self) -> int:
        """State and activations; libraries and the pictures that wait come on top."""
        return self.state_bytes + self.activation_bytes


class _LiveBytes(TorchDispatchMode):
    """Follow the bytes of the fake tensors that are alive, and their peak.

    Tensors that are made of numbers, such as filters, stay real: some operations read them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sizes: dict[int, int] = {}
        self.bytes, self.peak = 0, 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        tensors = [value for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)]
        if tensors and not any(isinstance(tensor, FakeTensor) for tensor in tensors):
            with unset_fake_temporarily():
                return func(*args, **kwargs)
        out = func(*args, **kwargs)
        for value in tree_leaves(out):
            if isinstance(value, Tensor):
                self._count(value.untyped_storage())
        return out

    def _count(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self.sizes:
            return
        self.sizes[key] = storage.nbytes()
        self.bytes += self.sizes[key]
        self.peak = max(self.peak, self.bytes)
        weakref.finalize(storage, self._forget, key)

    def _forget(self, key: int) -> None:
        self.bytes -= self.sizes.pop(key)


def estimate_memory(
    g_config: GeneratorConfig,
    d_config: DiscriminatorConfig,
    batch: int,
    precision: str = "fp32",
    num_passes: int = 1,
) -> Memory:
    """Estimate the memory of a training's process, in seconds and without needing it.

    A step's passes run on tensors that have shapes and no values. Neither augmentation nor what
    libraries need inside an operation is counted. It was 0.83 to 1.01 of what trainings at 64 and
    128 pixels took on the CPU (tests/stylegan/test_memory.py).

    Args:
        g_config, d_config: the networks.
        batch: pictures that go through the networks together.
        precision: as of `Synthesis.forward`.
        num_passes: with more than one a step does not keep G's signals while D learns.

    Raises:
        ConfigError: the batch does not divide into D's groups.
    """
    precision = "bf16" if precision == "fp16" else precision  # of one size; the CPU's code has one
    with FakeTensorMode(allow_non_fake_inputs=True), _LiveBytes() as live:
        G, D = Generator(g_config), Discriminator(d_config)
        in_G, in_D = (sum(p.numel() for p in net.parameters()) for net in (G, D))
        for parameter in (*G.parameters(), *D.parameters()):
            parameter.grad = torch.zeros_like(parameter)
        before = live.bytes
        _step(G, D, batch, precision, num_passes > 1)
    state = 4 * (COPIES_OF_G * in_G + COPIES_OF_D * in_D)
    return Memory(in_G, in_D, state, round(FRAGMENTS * (live.peak - before)))


def _step(G: Generator, D: Discriminator, batch: int, precision: str, again: bool) -> None:
    """Do what `Trainer.step` does to the networks' signals."""
    side, c_dim = G.config.img_resolution, G.config.c_dim
    reals = torch.zeros(batch, G.config.img_channels, side, side)
    c = torch.zeros(batch, c_dim) if c_dim else None

    def generate() -> Tensor:
        ws = G.mapping(torch.zeros(batch, G.config.z_dim), c)
        return G.synthesis(ws, precision=precision)

    def judge(images: Tensor, precision: str = precision) -> Tensor:
        return D(images, c, precision)

    with torch.set_grad_enabled(not again):
        fakes = generate()
    discriminator_loss(judge(reals), judge(fakes.detach())).backward()
    _learns(D, False)
    generator_loss(judge(generate() if again else fakes)).backward()
    _learns(D, True)
    reals.requires_grad_()
    r1_penalty(judge(reals, "fp32"), reals).backward()


def _learns(network: nn.Module, learns: bool) -> None:
    for parameter in network.parameters():
        parameter.requires_grad_(learns)
