"""The core adapter: a small square R between public frozen factors of the base weight.

    ΔW = scale · U R Vᵀ        x ──V──> (rank) ──R──> (rank) ──U──> (out)        R starts at zero

Three Linear layers without bias, of which R alone is trained and exchanged: rank² numbers a layer, every average exact,
and Opacus needs no hook of its own. Neither relative in PEFT 0.21 serves: PSOFT (psoft_orth=False, magnitudes off) has
ΔW = U Σ (R − I) Vᵀ, so that noise on R reaches the weight times the singular values; TinyLoRA trains one short vector,
not R; both decompose in float32 without fixing signs, so that nodes would average in different bases.

Source: LoRA-XS (2405.17604); LoRA-SB and Fed-SB (2502.15436).
"""

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor, nn

from gossipfl.learning.adapters.adapted import LowRank, Parts
from gossipfl.learning.adapters.request import AdapterRequest
from gossipfl.learning.adapters.sites import Site, find_sites
from gossipfl.learning.basis import Basis, Factors, compute_basis, load_basis, sketch
from gossipfl.learning.cache import file_sha256
from gossipfl.state import AdapterState


class CoreLinear(nn.Module):
    """A frozen layer plus its core adapter.

    Args:
        base_layer: Linear or Conv1D, used as it is.
        factors: its public factors.
        scale: of the update.
        dropout: on the adapter's input.
    """

    def __init__(self, base_layer: nn.Module, factors: Factors, *, scale: float, dropout: float) -> None:
        super().__init__()
        rank = factors.U.shape[1]
        self.base_layer = base_layer
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.core_V = _linear(torch.from_numpy(factors.V.T.copy()))
        self.core_R = _linear(torch.zeros(rank, rank))
        self.core_U = _linear(torch.from_numpy(factors.U.copy()))
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output with the update, in the layer's own type."""
        plain: Tensor = self.base_layer(x)
        update: Tensor = self.core_U(self.core_R(self.core_V(self.dropout(x.to(self.core_V.weight.dtype)))))
        return plain + (self.scale * update).to(plain.dtype)


def build(request: AdapterRequest) -> Parts:
    """R of every targeted layer; the scale is 1 unless alpha is given."""
    sites = find_sites(request.base, request.config)
    basis = _basis(request, sites)
    scale = request.config.scale(request.config.rank)
    trained: dict[str, nn.Parameter] = {}
    for site in sites:
        layer = CoreLinear(site.layer, basis[site.name], scale=scale, dropout=request.dropout)
        request.base.module.set_submodule(site.name, layer)
        trained[f"{site.name}.core_R"] = layer.core_R.get_parameter("weight")
    return Parts(
        trained,
        scale,
        request.config.rank,
        partial(_factors, basis),
        basis=file_sha256(request.basis) if request.basis else "computed",
        # of one rank it says nothing of another; the file's hash does
        basis_sketch=() if request.config.mixed_ranks else sketch(basis),
    )


def _basis(request: AdapterRequest, sites: list[Site]) -> Basis:
    rank = request.config.rank
    if request.basis is None:
        return compute_basis(((site.name, site.matrix()) for site in sites), rank)
    shapes = {site.name: site.shape for site in sites}
    return load_basis(
        request.basis, shapes=shapes, rank=rank, base_sha256=request.base.sha256, leading=request.config.mixed_ranks
    )


def _linear(weight: Tensor) -> nn.Linear:
    out_features, in_features = weight.shape
    # on the meta device nothing is drawn: the values are replaced
    layer = nn.Linear(in_features, out_features, bias=False, device="meta")
    layer.weight = nn.Parameter(weight, requires_grad=False)
    return layer


def _factors(basis: Basis, state: AdapterState) -> Iterator[LowRank]:
    """As LoRA: B = U · R, A = Vᵀ."""
    for name, factors in basis.items():
        yield LowRank(name, factors.V.T, factors.U @ state.segment(f"{name}.core_R"))
