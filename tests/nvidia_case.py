"""Pickles laid out as NVIDIA's StyleGAN3 files are, made with stand-ins for what they name."""

import contextlib
import json
import pickle
import sys
import types
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch

FIXTURES = Path(__file__).parent / "fixtures"
SOURCE = "raise SystemExit('module_src was run')"
PARAMETERS = ("weight", "bias")

# name: generator, discriminator, has an augmentation pipe, protocol, NumPy's and PyTorch's era
LAYOUTS = {
    "t alone": ("generator_t_32", None, False, 2, "new"),
    "t": ("generator_t_32", "discriminator_32", False, 3, "old"),
    "t augmented": ("generator_t_32", "discriminator_32", True, 4, "new"),
    "r": ("generator_r_32", "discriminator_32", False, 5, "new"),
    "r old": ("generator_r_32", None, True, 2, "old"),
    "t labels": ("generator_t_64_cond", "discriminator_32_cond", True, 4, "old"),
}


def _run_source(meta):
    """Do what reliability.md says NVIDIA's loader does."""
    exec(meta["module_src"], {})


class EasyDict(dict):
    """Stands for `dnnlib.util.EasyDict`."""


class Scalar:
    """A NumPy integer, pickled as NumPy 1 does."""

    def __init__(self, value):
        self.value = value

    def __reduce__(self):
        scalar = sys.modules["numpy.core.multiarray"].scalar
        return scalar, (np.dtype("i8"), np.int64(self.value).tobytes())


class OldTensor:
    """A tensor, pickled as the first versions of PyTorch did."""

    def __init__(self, tensor):
        self.tensor = tensor

    def __reduce__(self):
        storage = self.tensor.untyped_storage()
        typed = torch.storage.TypedStorage(wrap_storage=storage, dtype=torch.float, _internal=True)
        arguments = (typed, self.tensor.storage_offset(), *map(tuple, _geometry(self.tensor)))
        return torch._utils._rebuild_tensor, arguments


def _geometry(tensor):
    return tensor.shape, tensor.stride()


class Network:
    """A persistent object: its class's source text and its state."""

    source = SOURCE

    def __init__(self, **state):
        self.state = state

    def __reduce__(self):
        meta = dict(type="class", version=6, module_src=self.source, class_name="Network")
        rebuild = sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj
        return rebuild, ({**meta, "state": self.state},)


@contextlib.contextmanager
def stand_ins():
    """Let the names in such pickles exist, for as long as one is written or loaded plainly."""

    def scalar(dtype, raw):
        return np.frombuffer(raw, dtype)[0]

    named = {
        "torch_utils.persistence": ("_reconstruct_persistent_obj", _run_source),
        "dnnlib.util": ("EasyDict", EasyDict),
        "numpy.core.multiarray": ("scalar", scalar),
    }
    before = dict(sys.modules)
    for module, (name, thing) in named.items():
        thing.__module__, thing.__qualname__, thing.__name__ = module, name, name
        sys.modules.setdefault(module.split(".")[0], types.ModuleType(module.split(".")[0]))
        sys.modules[module] = types.ModuleType(module)
        setattr(sys.modules[module], name, thing)
    try:
        yield
    finally:
        for module in [*named, "torch_utils", "dnnlib"]:
            sys.modules.pop(module, None)
            if module in before:
                sys.modules[module] = before[module]


def module_state(**more):
    hooks = {f"_{when}_hooks": OrderedDict() for when in ("backward", "forward", "forward_pre")}
    empty = dict(_parameters={}, _buffers={}, _modules=OrderedDict())
    plain = dict(training=False, _non_persistent_buffers_set=set(), padding=(1, -2), gain=2**0.5)
    return {**empty, **hooks, **plain, "_init_args": (), "_init_kwargs": EasyDict(), **more}


def _tensor(array, era):
    backwards = tuple(reversed(range(array.ndim)))  # a view: its strides matter
    flipped = torch.tensor(array.transpose(backwards).copy()).permute(backwards)
    return OldTensor(flipped) if era == "old" else flipped


def network_of(arrays, era="new", **options):
    """Nest arrays with dotted names as modules are nested."""
    network = Network(**module_state(_init_kwargs=EasyDict(options), _noise_=b"", none=None))
    for name, array in arrays.items():
        *parts, leaf = name.split(".")
        module = network
        for part in parts:
            module = module.state["_modules"].setdefault(part, Network(**module_state()))
        if leaf in PARAMETERS and era == "new":
            module.state["_parameters"][leaf] = torch.nn.Parameter(_tensor(array, era))
        else:
            module.state["_buffers"][leaf] = _tensor(array, era)
    return network


def fixture(name):
    """Return the options, the state by official names, and the other arrays of a fixture."""
    with np.load(FIXTURES / f"{name}.npz") as file:
        arrays = {key: file[key] for key in file.files}
    options = json.loads(str(arrays.pop("meta")))["config"]
    state = {k.removeprefix("state/"): v for k, v in arrays.items() if k.startswith("state/")}
    return options, state, arrays


def generator_network(name, era="new", **more):
    options, state, _ = fixture(name)
    options["c_dim"] = Scalar(options["c_dim"])
    options["mapping_kwargs"] = EasyDict(num_layers=2)
    return network_of(state, era, **{**options, "magnitude_ema_beta": 0.9988, **more})


def discriminator_network(name, era="new", **more):
    options, state, _ = fixture(name)
    options["block_kwargs"] = EasyDict(freeze_layers=0)
    options["epilogue_kwargs"] = EasyDict(mbstd_group_size=4)
    return network_of(state, era, **{**options, "mapping_kwargs": EasyDict(), **more})


def pickled(protocol=4, **models):
    with stand_ins():
        return pickle.dumps(models, protocol)


def layout(name):
    """Return the bytes of one of LAYOUTS."""
    generator, discriminator, is_augmented, protocol, era = LAYOUTS[name]
    pipe = Network(**module_state(p=np.float64(0.5), bands=np.arange(6.0).reshape(2, 3)))
    return pickled(
        protocol,
        G=generator_network(generator, era),
        D=discriminator and discriminator_network(discriminator, era),
        G_ema=generator_network(generator, era),
        augment_pipe=pipe if is_augmented else None,
        training_set_kwargs=EasyDict(path="/somewhere", use_labels=True, max_size=10**12),
    )
