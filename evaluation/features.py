"""What two sets of pictures are compared by: features of a named network, told with its weights."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from attributes.reader import PRETRAINED, load_reader
from engine.files import file_sha256
from evaluation.frechet import FeatureError, Features, pixels16
from evaluation.inception import RESIZE, WeightsError, find_weights, load_inception

AS_IS = "none"


@dataclass(frozen=True)
class Extractor:
    """Features, under a name of their own: distances by different ones cannot be compared."""

    key: str  # of the Frechet distance by them: 'fid' is Inception's alone
    features: Features  # pictures [N, 3, H, W] in [-1, 1], on the 8-bit grid, to [N, d]
    network: str
    sha256: str  # of its weights, or of what stands for them
    resize: str  # of the pictures that the network sees
    device: str = "cpu"  # that it is on

    @property
    def facts(self) -> dict[str, str]:
        """What has to be the same for two numbers to be comparable."""
        return {"network": self.network, "sha256": self.sha256, "resize": self.resize}

    @torch.no_grad()
    def __call__(self, pictures: Tensor) -> Tensor:
        """Return the features of `pictures` as float32 on the CPU.

        A picture that is not finite has features nan. On the CPU the network sees one picture at a
        time, so that the result does not depend on the batch.

        Raises:
            FeatureError: they are not `[N, d]`.
        """
        there = pictures.to(self.device)
        parts = there.split(1) if self.device == "cpu" else (there,)
        found = torch.cat([self.features(_as_files_are(part)) for part in parts])
        if found.ndim != 2 or len(found) != len(pictures):
            shape = tuple(found.shape)
            raise FeatureError(f"{self.network}: its features are {shape}. Give a network of them.")
        is_finite = there.isfinite().flatten(1).all(1)
        return found.float().where(is_finite[:, None], torch.nan).cpu()


def _as_files_are(pictures: Tensor) -> Tensor:
    """Round to 8 bits and clip; what is not finite becomes some number."""
    levels = ((pictures.nan_to_num() + 1) * 127.5).round().clamp(0, 255)
    return levels / 127.5 - 1


def open_extractor(spec: str, device: str = "cpu", *, allow_download: bool = False) -> Extractor:
    """Return the features of a name.

    Args:
        spec: 'inception', 'inception:PATH', 'attributes' (the reader of the default model),
            'pixels16', or the PATH of a reader (.safetensors) or of TorchScript that makes
            `[N, d]` of pictures `[N, 3, H, W]` in [-1, 1], of their own size.
        device: of the network.
        allow_download: whether missing weights of Inception may be fetched.

    Raises:
        WeightsError: there are no weights, or they are not what they should be.
        CheckpointError: as `load_reader`.
    """
    name, _, path = spec.partition(":")
    if name == "inception":
        file = find_weights(Path(path).expanduser() if path else None, allow_download)
        network = load_inception(file, device)
        facts = ("Inception v3 (2015-12-05)", file_sha256(file), RESIZE)
        return Extractor("fid", network, *facts, device)
    if spec == "pixels16":
        return Extractor("fd_pixels16", pixels16, spec, "none", "antialiased bicubic to 16", device)
    if spec == "attributes":
        return _reader(PRETRAINED, "fd_attr", device)
    file = Path(spec).expanduser()
    key = "fd_" + re.sub(r"\W+", "_", file.stem)
    if not file.is_file():
        known = "inception, inception:PATH, attributes, pixels16 or the PATH of a network"
        raise WeightsError(f"{spec}: no such features and no such file. Give {known}.")
    own = _reader if file.suffix == ".safetensors" else _script
    return own(file, key, device)


def _reader(path: Path, key: str, device: str) -> Extractor:
    reader = load_reader(path, device)
    resize = f"antialiased bicubic to {reader.config.side}"
    return Extractor(key, reader.features, "attribute reader", file_sha256(path), resize, device)


def _script(path: Path, key: str, device: str) -> Extractor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is on its way out
        try:
            network: Callable[[Tensor], Tensor] = torch.jit.load(path, map_location=device).eval()
        except RuntimeError as error:
            what = f"{path}: neither a reader (.safetensors) nor TorchScript"
            raise WeightsError(f"{what}. Give one of those.", "E-MODEL") from error
    return Extractor(key, network, path.name, file_sha256(path), AS_IS, device)


def tensor_sha256(tensor: Tensor) -> str:
    """Return the SHA-256 of a tensor's numbers, hexadecimal."""
    return hashlib.sha256(tensor.contiguous().cpu().numpy().tobytes()).hexdigest()
