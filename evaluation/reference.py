"""Features of a data set, kept beside it; refused when anything about them has changed."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from engine.files import atomic_file
from evaluation.features import tensor_sha256

logger = logging.getLogger(__name__)
KIND = "features of a data set"


class StoredFeaturesError(ValueError):
    """Stored features that are not those of this data set, these pictures or this network."""

    code = "E-DATA-MISMATCH"


def beside(data: Path, key: str) -> Path:
    """Return where the features of a data set are kept: `faces.zip.fid.safetensors`."""
    return data.with_name(f"{data.name}.{key}.safetensors")


def load_reference(path: Path, facts: dict[str, Any]) -> Tensor | None:
    """Return stored features `[N, d]`, None where there are none.

    Args:
        path: of the file.
        facts: what they must have been computed from and with.

    Raises:
        StoredFeaturesError: they have been computed from or with something else, or are damaged.
    """
    if not path.exists():
        return None
    remedy = "Remove it to have them computed again, or keep others with --reference FILE"
    try:
        with safe_open(path, "pt") as file:
            stored = json.loads((file.metadata() or {}).get("facts", "{}"))
            features: Tensor = file.get_tensor("features")
    except (SafetensorError, ValueError) as error:
        raise StoredFeaturesError(f"{path}: no stored features ({error}). {remedy}.") from error
    wanted = {**facts, "features_sha256": tensor_sha256(features)}
    for name in wanted.keys() | stored.keys():
        if stored.get(name) != wanted.get(name):
            what = f"its {name} is {stored.get(name)!r}, not {wanted.get(name)!r}"
            raise StoredFeaturesError(
                f"{path}: not the features that are wanted: {what}. {remedy}."
            )
    return features


def save_reference(path: Path, features: Tensor, facts: dict[str, Any]) -> None:
    """Store features; where that is not possible, say so and go on."""
    stored = json.dumps({**facts, "features_sha256": tensor_sha256(features)})
    content = save({"features": features.contiguous()}, {"kind": KIND, "facts": stored})
    try:
        with atomic_file(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        what = f"features cannot be kept there ({error.strerror})"
        logger.info("%s: %s and will be computed again next time", path, what)
