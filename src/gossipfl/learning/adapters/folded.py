"""Frozen weights into which mixing folds what factors cannot hold, see `gossipfl.core.mixing.folding`.

weight in the module  =  weight as loaded  +  merged         merged lies in the state, moves by mixing alone
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gossipfl.learning.adapters.sites import Site


@dataclass(frozen=True, slots=True)
class Fold:
    """One layer's.

    Attributes:
        weight: in the module, frozen.
        loaded: its values as they were, copied.
        merged: (out, in) fp32, what has been folded in.
        transposed: the weight is (in, out).
    """

    weight: nn.Parameter
    loaded: Tensor
    merged: Tensor
    transposed: bool

    def apply(self) -> None:
        """Puts both together into the module's weight."""
        merged = self.merged.to(self.weight.device)
        with torch.no_grad():
            torch.add(self.loaded.to(self.weight.device), merged.T if self.transposed else merged, out=self.weight.data)


def fold_of(site: Site, weight: nn.Parameter) -> Fold:
    """Nothing folded in yet.

    Args:
        weight: the frozen one of the site's layer.
    """
    loaded = weight.detach().clone()
    merged = torch.zeros(tuple((loaded.T if site.transposed else loaded).shape), dtype=torch.float32)
    return Fold(weight, loaded, merged, site.transposed)
