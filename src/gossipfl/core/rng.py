"""Randomness that nodes may agree on: generators derived from (seed, node, purpose, step).

Two runs of one file are equal byte for byte. Never the source of privacy noise or of private batches:
those come from `gossipfl.privacy.secret`.
"""

import hashlib

import numpy as np


def derive_seed(seed: int, *, node: str = "", purpose: str, step: int = 0) -> int:
    """A 64-bit seed; distinct arguments give independent streams (SHA-256)."""
    text = f"{seed}\x1f{node}\x1f{purpose}\x1f{step}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def generator(seed: int, *, node: str = "", purpose: str, step: int = 0) -> np.random.Generator:
    """A fresh PCG64 generator for one purpose at one step."""
    return np.random.default_rng(derive_seed(seed, node=node, purpose=purpose, step=step))
