"""Release weights: safetensors files that carry the configuration they belong to."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from engine.files import atomic_file, file_sha256
from stylegan.config import DiscriminatorConfig, GeneratorConfig
from stylegan.discriminator import Discriminator
from stylegan.generator import Generator

Config = TypeVar("Config")
Module = TypeVar("Module", bound=nn.Module)

FORMAT_VERSION = 2  # from 2 on a file carries its own digest
MAX_BYTES = 8 << 30
MAX_HEADER_BYTES = 4 << 20
MAX_TENSORS = 20_000
NO_DIGEST = "0" * 64  # stands in the digest's place while the digest is computed


class CheckpointError(ValueError):
    """A model file cannot be used; `code` says what kind of fault."""

    def __init__(self, message: str, code: str = "E-MODEL") -> None:
        super().__init__(message)
        self.code = code


def save_weights(
    path: Path, kind: str, config: dict[str, Any], state: dict[str, Tensor], **metadata: object
) -> None:
    """Write release weights: a safetensors file with string metadata, atomically.

    The metadata `sha256` is the digest of the file in which it is 64 zeros.

    Args:
        path: the file to write.
        kind: what the weights are of, such as 'generator'.
        config: plain values that rebuild the module.
        state: parameter names to tensors; their types are kept.
        metadata: more facts about the file, such as `trained_kimg`.

    Raises:
        CheckpointError: a value is not finite, as stored.
    """
    facts = {"kind": kind, "format_version": FORMAT_VERSION, "config": json.dumps(config)}
    strings = {key: str(value) for key, value in (facts | metadata).items()}
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in state.items()}
    for name, value in tensors.items():
        if not value.isfinite().all():
            message = f"{path}: not written, {name} holds values that are not finite. "
            raise CheckpointError(message + "Train on from an earlier state.", "E-TRAIN-NAN")
    with atomic_file(Path(path)) as temporary:
        temporary.write_bytes(_sealed(save(tensors, strings | {"sha256": NO_DIGEST})))


def _sealed(content: bytes) -> bytes:
    """Sort what safetensors leaves in a random order (equal weights: equal files); add a digest."""
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the tensors stay aligned
    sealed = len(text).to_bytes(8, "little") + text + content[start:]
    digest = hashlib.sha256(sealed).hexdigest()
    return sealed.replace(_digest_entry(NO_DIGEST), _digest_entry(digest), 1)


def _digest_entry(digest: str) -> bytes:
    return f'"sha256":"{digest}"'.encode()  # a quote inside any other string has a backslash


def _own_sha256(path: Path, stored: str) -> str:
    """Return the digest of a safetensors file in which `stored` is replaced by zeros."""
    with open(path, "rb") as file:
        length = file.read(8)
        header = file.read(int.from_bytes(length, "little"))
        blank = header.replace(_digest_entry(stored), _digest_entry(NO_DIGEST), 1)
        digest = hashlib.sha256(length + blank)
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_weights(path: Path, kind: str) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Read release weights and their metadata; floating tensors come as float32.

    Raises:
        CheckpointError: missing, not a safetensors file, damaged, of another kind, of a newer
            format, or with values that are not finite.
    """
    path = Path(path)
    _check_file(path)
    try:
        _check_header(path)
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, ValueError, RecursionError, OSError) as error:
        raise CheckpointError(
            f"{path}: not a whole safetensors file ({_brief(error)}). Copy or download it again; "
            "pickled weights (.pkl, .pt) are never opened; convert.py reads a StyleGAN3 .pkl."
        ) from error
    _check_digest(path, metadata)
    _check_metadata(path, kind, metadata)
    state = {k: v.float() if v.is_floating_point() else v for k, v in state.items()}
    for name, value in state.items():
        if value.is_complex() or not value.isfinite().all():
            what = "holds values that are not finite real numbers"
            raise CheckpointError(f"{path}: {name:.100} {what}. Copy it again.")
    return metadata, state


def _check_file(path: Path) -> None:
    if not path.exists():
        raise CheckpointError(f"{path}: no such file. Check the path.", "E-MODEL-MISSING")
    if not path.is_file() or path.stat().st_size > MAX_BYTES:
        raise CheckpointError(f"{path}: not a model file. Give a .safetensors file.")
    manifest = path.parent / "manifest.json"
    if manifest.is_file() and _listed_sha256(manifest, path.name) not in (None, file_sha256(path)):
        raise CheckpointError(
            f"{path}: damaged, its SHA-256 is not the one in manifest.json. Copy it again."
        )


def _brief(error: Exception) -> str:
    """Return what an error says, without the kilobytes that a hostile name can make it say."""
    return str(error)[:300]


def _check_header(path: Path) -> None:
    """Refuse what safetensors lets pass: endless headers, and names that stand twice."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > MAX_HEADER_BYTES:
            raise ValueError(f"its header has {length} bytes, at most {MAX_HEADER_BYTES} are read")
        names = json.loads(file.read(length), object_pairs_hook=_unique)
    if len(names) > MAX_TENSORS:
        raise ValueError(f"it has {len(names)} tensors, at most {MAX_TENSORS} are read")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in its header")
    return found


def _listed_sha256(manifest: Path, name: str) -> str | None:
    try:
        return json.loads(manifest.read_text())["files"].get(name, {}).get("sha256")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"{manifest}: not a list of model files. Copy it again, or remove it."
        raise CheckpointError(message) from error


def _check_digest(path: Path, metadata: dict[str, str]) -> None:
    """Take the digest out of the metadata and check it; files of format 1 need not have one."""
    stored = metadata.pop("sha256", None)
    if stored is None and metadata.get("format_version") in (None, "1"):
        return
    if stored is None or _own_sha256(path, stored) != stored:
        raise CheckpointError(f"{path}: damaged, its SHA-256 is not its own. Copy it again.")


def _check_metadata(path: Path, kind: str, metadata: dict[str, str]) -> None:
    found = metadata.get("kind")
    if found != kind:
        what = f"holds {found or 'unnamed'} weights, {kind} weights are needed"
        raise CheckpointError(f"{path}: {what}. Give another file.")
    version = metadata.get("format_version", "")
    if not version.isdecimal():
        raise CheckpointError(f"{path}: its format_version is no number. Copy it again.")
    if int(version) > FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: format {version} is newer than {FORMAT_VERSION}. Update Irodori.",
            "E-VERSION",
        )


def config_from(
    metadata: dict[str, str], config_class: Callable[..., Config], path: Path
) -> Config:
    """Rebuild the configuration that `save_weights` stored.

    Raises:
        CheckpointError: it is missing, or holds names or values that are not of this class.
    """
    try:
        return config_class(**json.loads(metadata["config"]))
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        message = f"{path}: its configuration cannot be used ({_brief(error)}). Copy it again."
        raise CheckpointError(message) from error


def restore(
    module_class: Callable[[Config], Module], config: Config, state: dict[str, Tensor], path: Path
) -> Module:
    """Build a module, in evaluation mode and frozen, from its configuration and its state.

    Names and shapes must match exactly. They are first compared on the meta device, which takes no
    memory: a configuration without the tensors to go with it cannot ask for any.

    Raises:
        CheckpointError: they do not match.
    """
    try:
        with torch.device("meta"):
            module_class(config).load_state_dict(state, assign=True)
    except (RuntimeError, ValueError, ArithmeticError) as error:
        message = f"{path}: does not fit its own configuration ({_brief(error)}). Copy it again."
        raise CheckpointError(message) from error
    module = module_class(config)
    module.load_state_dict(state)
    return module.eval().requires_grad_(False)


def _load(
    path: Path,
    kind: str,
    config_class: Callable[..., Config],
    module_class: Callable[[Config], Module],
) -> Module:
    metadata, state = read_weights(path, kind)
    return restore(module_class, config_from(metadata, config_class, path), state, path)


def save_generator(path: Path, G: Generator, **facts: object) -> None:
    """Write a generator as release weights."""
    save_weights(path, "generator", G.config.to_dict(), G.state_dict(), **facts)


def load_generator(path: Path | str, device: torch.device | str = "cpu") -> Generator:
    """Load a generator from release weights, in evaluation mode, its parameters frozen.

    Raises:
        CheckpointError: the file is missing, damaged or not a generator.
    """
    return _load(Path(path), "generator", GeneratorConfig, Generator).to(device)


def save_discriminator(path: Path, D: Discriminator, **facts: object) -> None:
    """Write a discriminator as release weights."""
    save_weights(path, "discriminator", D.config.to_dict(), D.state_dict(), **facts)


def load_discriminator(path: Path | str, device: torch.device | str = "cpu") -> Discriminator:
    """Load a discriminator from release weights, in evaluation mode, its parameters frozen.

    Raises:
        CheckpointError: the file is missing, damaged or not a discriminator.
    """
    return _load(Path(path), "discriminator", DiscriminatorConfig, Discriminator).to(device)
