"""Inception as FID is defined by: clean-fid's resize and network, with weights from a local file.

Parmar, Zhang and Zhu, "On aliased resizing and surprising subtleties in GAN evaluation", 2022.
"""

from __future__ import annotations

import os
import tempfile
import urllib.request
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine.files import atomic_file, file_sha256

NAME, MEGABYTES = "inception-2015-12-05.pt", 95.6
SHA256 = "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4"
URL = f"https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/{NAME}"
RESIZE = "clean-fid: Pillow bicubic, float, to 299"


class WeightsError(ValueError):
    """Weights of a network for features that are missing or not the ones."""

    def __init__(self, message: str, code: str = "E-MODEL-MISSING") -> None:
        super().__init__(message)
        self.code = code


def default_path() -> Path:
    """Return where the weights are looked for: the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "irodori" / NAME


def find_weights(path: Path | None, allow_download: bool) -> Path:
    """Return the weights' file, which is the one that everybody's FID is of.

    Args:
        path: of the file, or of the folder it is in; None for `default_path`.
        allow_download: whether it may be fetched from its publisher, to where it was missed.

    Raises:
        WeightsError: there is no such file, or another.
    """
    path = path or default_path()
    path = path / NAME if path.is_dir() else path
    if not path.exists():
        if not allow_download:
            raise WeightsError(missing(path))
        download(path)
    if (found := file_sha256(path)) != SHA256:
        what = f"{path}: not the weights of FID (SHA-256 {found[:12]}..., not {SHA256[:12]}...)"
        remedy = f"Copy {NAME} again; for another network give --features {path}"
        raise WeightsError(f"{what}. {remedy}.", "E-MODEL-MISMATCH")
    return path


def missing(path: Path) -> str:
    """Return what to say of weights that are not at a path."""
    return (
        f"{path}: no such file. FID needs the weights of Inception, {NAME} ({MEGABYTES} MB, "
        f"SHA-256 {SHA256}): put them there, say where they are with --features inception:PATH, "
        f"or let them be fetched from {URL} with --allow-download. Without them, --features "
        "attributes gives the same measures by a network that is here, as fd_attr."
    )


def download(path: Path) -> None:
    """Fetch the weights.

    Raises:
        WeightsError: they cannot be had.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with atomic_file(path) as temporary, urllib.request.urlopen(URL, timeout=60) as answer:
            with temporary.open("wb") as file:
                while block := answer.read(1 << 20):
                    file.write(block)
    except OSError as error:
        what = f"{URL}: cannot be fetched ({error})"
        message = f"{what}. Fetch it elsewhere and put it at {path}."
        raise WeightsError(message, "E-MODEL-UNAVAILABLE") from error


def load_inception(path: Path, device: str) -> Callable[[Tensor], Tensor]:
    """Return Inception's features of pictures `[N, 3, H, W]` in [-1, 1]: `[N, 2048]`.

    Raises:
        WeightsError: the file is no TorchScript.
    """
    from cleanfid.inception_torchscript import InceptionV3W
    from cleanfid.resize import build_resizer

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # TorchScript is on its way out
        (Path(folder) / NAME).symlink_to(path.resolve())
        try:
            network = InceptionV3W(folder, download=False).to(device)
        except RuntimeError as error:
            raise WeightsError(f"{path}: not TorchScript. Copy {NAME} again.", "E-MODEL") from error
    resize, pool = build_resizer("clean"), ThreadPoolExecutor()  # Pillow lets others work

    def features(pictures: Tensor) -> Tensor:
        levels = ((pictures.permute(0, 2, 3, 1) + 1) * 127.5).cpu().numpy()
        sized = np.stack(list(pool.map(resize, levels))).transpose(0, 3, 1, 2)
        found: Tensor = network(torch.from_numpy(sized).to(device))
        return found

    return features
