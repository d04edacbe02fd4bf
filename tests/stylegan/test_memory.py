"""The estimate of a training's memory against counts, and against what a training takes."""

import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch
from memory_case import memory_limit
from tiny_models import BATCH, D_CONFIG, G_CONFIG, real_batch, tiny_generator, tiny_trainer
from torch._subclasses.fake_tensor import FakeTensorMode

from stylegan import DiscriminatorConfig, GeneratorConfig
from stylegan.config import ConfigError
from stylegan.memory import _LiveBytes, estimate_memory

MIB = 1 << 20
SMALL = {"channel_base": 2048, "channel_max": 128}
PLAIN = {"w_dim": 128, "z_dim": 128, "margin_size": 4, "first_cutoff": 4, "first_stopband": 8}


def test_live_bytes_are_those_of_storages():
    with FakeTensorMode(allow_non_fake_inputs=True), _LiveBytes() as live:
        x = torch.empty(1000)
        view = x[10:].view(-1, 2)
        y = x.double() + torch.ones(1000, dtype=torch.double)
        assert live.bytes == 4000 + 8000 and live.peak == 4000 + 3 * 8000
        del x
        assert live.bytes == 12_000
        del view, y
        assert live.bytes == 0
        assert torch.tensor([1.5, 2.5]).flip(0).tolist() == [2.5, 1.5]


def test_the_state_is_what_a_trainer_has():
    trainer = tiny_trainer()
    trainer.step(real_batch())
    found = estimate_memory(G_CONFIG, D_CONFIG, BATCH)
    networks = trainer.G, trainer.D, trainer.G_ema
    numbers = [sum(p.numel() for p in network.parameters()) for network in networks]
    assert [found.g_parameters, found.d_parameters] == numbers[:2]
    moments = [
        state[name].numel()
        for opt in (trainer.g_opt, trainer.d_opt)
        for state in opt.adam.state.values()
        for name in ("exp_avg", "exp_avg_sq")
    ]
    gradients = [opt.gradients.numel() for opt in (trainer.g_opt, trainer.d_opt)]
    assert found.state_bytes == 4 * sum([*numbers, *moments, *gradients])


def test_activations_grow_with_the_batch_and_shrink_with_its_parts():
    four, eight = (estimate_memory(G_CONFIG, D_CONFIG, n).activation_bytes for n in (4, 8))
    assert 1.7 < eight / four < 2.1
    assert estimate_memory(G_CONFIG, D_CONFIG, 4, num_passes=2).activation_bytes < 0.95 * four
    narrow = estimate_memory(G_CONFIG, D_CONFIG, 4, "bf16").activation_bytes
    assert narrow < 0.8 * four
    assert estimate_memory(G_CONFIG, D_CONFIG, 4, "fp16").activation_bytes == narrow


def test_conditional_networks():
    configs = replace(G_CONFIG, c_dim=3), replace(D_CONFIG, c_dim=3)
    G = tiny_generator(config=configs[0])
    assert estimate_memory(*configs, 4).g_parameters == sum(p.numel() for p in G.parameters())
    with pytest.raises(ConfigError, match="batch of 6"):
        estimate_memory(G_CONFIG, D_CONFIG, 6)


def test_the_largest_network_takes_neither_memory_nor_time():
    start = time.process_time()
    with memory_limit(1 << 30):
        found = estimate_memory(GeneratorConfig(), DiscriminatorConfig(), 32, "bf16")
    assert time.process_time() - start < 6
    assert 20 << 30 < found.activation_bytes < 40 << 30


# --- measured ----------------------------------------------------------------------------------

TRAINING = """
import sys, torch
from pathlib import Path
from tiny_models import real_batch, tiny_trainer
from stylegan import Discriminator, Generator
from stylegan.recipe import TrainingConfig
from stylegan.training import Trainer
from test_memory import configs

def mebibytes(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith(field))

side, layers, batch, precision = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
tiny_trainer(precision=precision).step(real_batch())  # what libraries take is not a training's
before = mebibytes("VmRSS")
Path("/proc/self/clear_refs").write_text("5")
g_config, d_config = configs(side, layers)
config = TrainingConfig(total_steps=9, batch=8, batch_gpu=batch, precision=precision)
trainer = Trainer(Generator(g_config), Discriminator(d_config), config)
for _ in range(2):
    trainer.step(torch.rand(8, 3, side, side) * 2 - 1)
print(mebibytes("VmHWM") - before)
"""


def configs(side, layers):
    g_config = GeneratorConfig(img_resolution=side, num_layers=layers, **SMALL, **PLAIN)
    return g_config, DiscriminatorConfig(img_resolution=side, **SMALL)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(("side", "layers", "batch"), [(64, 8, 8), (128, 9, 8), (128, 9, 4)])
def test_against_what_a_training_takes(side, layers, batch, precision):
    """`t-64` and `t-128`, the latter at once and in two parts: within 30 %."""
    folder = os.path.dirname(__file__)
    path = os.pathsep.join([folder, os.path.dirname(folder), os.getcwd()])
    command = [sys.executable, "-c", TRAINING, str(side), str(layers), str(batch), precision]
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    found = estimate_memory(*configs(side, layers), batch, precision, num_passes=8 // batch)
    ratio = found.total_bytes / MIB / float(run.stdout)
    print(f"{side} px, {batch} at a time, {precision}: {run.stdout.strip()} MiB, ratio {ratio:.2f}")
    assert 0.7 < ratio < 1.3
