"""The public basis of `core`: the leading singular vectors of every targeted weight.

    W = U Σ Vᵀ      U (out, rank), V (in, rank), orthonormal columns, largest entry of each column of U positive

It depends on the base model only, never on data. A decomposition in float32 differs in the fifth digit between
machines and thread counts; in float64 it agrees far below float32, provided that the subspace is unique: σ_r above
σ_{r+1}. `gossipfl init` writes it once, `basis.safetensors` beside experiment.yaml; without the file every node
computes its own, and the handshake compares sketches.

Source: LoRA-XS, Bałazy et al. (2405.17604).
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from gossipfl.core.rng import generator
from gossipfl.errors import ModelError
from gossipfl.learning.cache import write_atomically

SMALLEST_GAP = 1 + 1e-4
"""σ_r / σ_{r+1} at the cut; closer ones would be told apart by rounding."""
SMALLEST_SHARE = 1e-6
"""σ_r / σ_1; the directions of smaller ones are rounding."""


@dataclass(frozen=True, slots=True)
class Factors:
    """One layer's public factors, orthonormal columns.

    Attributes:
        U: (out, rank) fp32.
        V: (in, rank) fp32.
    """

    U: NDArray[np.float32]
    V: NDArray[np.float32]


Basis = Mapping[str, Factors]
"""Factors by the layer's name."""


def compute_basis(weights: Iterable[tuple[str, NDArray[np.float64]]], rank: int) -> dict[str, Factors]:
    """The leading singular vectors of each (name, weight (out, in)).

    Raises:
        ModelError: a layer's subspace of this rank is not unique.
    """
    return {name: _leading(name, weight, rank) for name, weight in weights}


def save_basis(basis: Basis, path: Path, *, base_sha256: str) -> str:
    """Writes the file, whole or not at all; gives its SHA-256. Equal bases make equal files.

    Args:
        base_sha256: hash of the base model's weights, kept in the file and compared on loading.
    """
    tensors = {f"{name}.{side}": getattr(factors, side) for name, factors in basis.items() for side in ("U", "V")}
    content = save(tensors, metadata={"gossipfl": json.dumps({"base_sha256": base_sha256})})
    write_atomically(path, content)
    return hashlib.sha256(content).hexdigest()


def load_basis(
    path: Path, *, shapes: Mapping[str, tuple[int, int]], rank: int, base_sha256: str, leading: bool = False
) -> dict[str, Factors]:
    """The factors of the layers in `shapes`, each (out, in), as `save_basis` wrote them.

    Args:
        leading: the file may hold more than the rank: the leading columns are taken.

    Raises:
        ModelError: the file is missing, damaged, or made for another model, rank or other layers.
    """
    try:
        with safe_open(path, "numpy") as file:
            _check_model(path, file.metadata() or {}, base_sha256)
            if sorted(file.keys()) != sorted(f"{name}.{side}" for name in shapes for side in ("U", "V")):
                raise ModelError(f"adapter.basis: {path} is of other layers than adapter.targets; write it again")
            found = {name: Factors(file.get_tensor(f"{name}.U"), file.get_tensor(f"{name}.V")) for name in shapes}
    except (OSError, SafetensorError) as error:
        raise ModelError(f"adapter.basis: {path} cannot be read: {error}") from error
    if leading:
        found = {
            name: Factors(factors.U[:, :rank].copy(), factors.V[:, :rank].copy()) for name, factors in found.items()
        }
    for name, factors in found.items():
        _check_factors(path, name, factors, (*shapes[name], rank))
    return found


def sketch(basis: Basis) -> tuple[float, ...]:
    """Two numbers a layer that tell one basis from another: gᵀ U h and kᵀ V h with fixed Gaussian g, h, k.

    Guarantees:
        Of order 1, and within 1e-4 on two machines that computed the same basis; a swapped, turned or differently
        signed column shows.
    """
    return tuple(number for name, factors in basis.items() for number in _layer_sketch(name, factors))


def _layer_sketch(name: str, factors: Factors) -> tuple[float, float]:
    rng = generator(0, purpose=f"basis sketch {name}")
    U, V = factors.U.astype(np.float64), factors.V.astype(np.float64)
    h = rng.standard_normal(U.shape[1]) / np.sqrt(U.shape[1])
    return float(rng.standard_normal(U.shape[0]) @ U @ h), float(rng.standard_normal(V.shape[0]) @ V @ h)


def _leading(name: str, weight: NDArray[np.float64], rank: int) -> Factors:
    U, sigma, Vt = np.linalg.svd(weight, full_matrices=False)
    following = sigma[rank] if rank < sigma.size else 0.0
    if sigma[rank - 1] <= SMALLEST_SHARE * sigma[0] or sigma[rank - 1] < SMALLEST_GAP * following:
        raise ModelError(
            f"adapter.rank: layer {name} has no unique subspace of rank {rank}: its singular values there are "
            f"{sigma[rank - 1]:.6g} and {following:.6g}, a ratio of at least {SMALLEST_GAP} is needed; "
            "choose another rank"
        )
    largest = np.take_along_axis(U, np.abs(U).argmax(axis=0)[None, :], axis=0)[0]
    signs = np.where(largest < 0, -1.0, 1.0)[:rank]
    return Factors(_fp32(U[:, :rank] * signs), _fp32(Vt[:rank].T * signs))


def _fp32(matrix: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.ascontiguousarray(matrix, dtype=np.float32)


def _check_model(path: Path, metadata: Mapping[str, str], base_sha256: str) -> None:
    try:
        described: Any = json.loads(metadata.get("gossipfl", ""))
        found = described["base_sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"adapter.basis: {path} is no basis that gossipfl init wrote") from error
    if found != base_sha256:
        raise ModelError(
            f"adapter.basis: {path} was made for base model {str(found)[:12]}, model.source is {base_sha256[:12]}"
        )


def _check_factors(path: Path, name: str, factors: Factors, expected: tuple[int, int, int]) -> None:
    out_features, in_features, rank = expected
    if factors.U.shape != (out_features, rank) or factors.V.shape != (in_features, rank):
        raise ModelError(
            f"adapter.basis: {path} holds rank {factors.U.shape[-1]} for {name}, adapter.rank is {rank}; write it again"
        )
    for factor in (factors.U, factors.V):
        if factor.dtype != np.float32 or not np.allclose(factor.T @ factor, np.eye(rank), atol=1e-3):
            raise ModelError(f"adapter.basis: {path} is damaged: the factors of {name} are not orthonormal fp32")
