"""Random numbers that are a pure function of (seed, stream, indices), on every machine."""

import hashlib

import torch


def derive_generator(seed: int, stream: str, *indices: int) -> torch.Generator:
    """Return a CPU generator for one use of randomness.

    Numbers drawn from it depend only on the arguments, never on what was drawn before, so that
    neither a resumed run nor a batch split changes them.
    """
    key = repr((int(seed), stream, *map(int, indices))).encode()
    digest = hashlib.sha256(key).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
