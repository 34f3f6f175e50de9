"""What nodes may send that mean harm: for experiments, and to try a federation's own defenses."""

from collections.abc import Callable, Mapping
from typing import Any

from gossipfl.core.attacks.dissensus import Dissensus
from gossipfl.core.attacks.equivocation import Equivocation
from gossipfl.core.attacks.inner_product import InnerProduct
from gossipfl.core.attacks.little import Little
from gossipfl.core.attacks.noise import HugeNorm, Noise, NotANumber
from gossipfl.core.attacks.old_states import OldStates
from gossipfl.core.attacks.seam import Attack, Scene
from gossipfl.core.attacks.sign_flip import SignFlip

BuildAttack = Callable[[float | None], Attack[Any]]
"""An attack of a strength; None: its own usual one."""
STALE = 5
"""Publications by which `stale` is behind."""

ATTACKS: Mapping[str, BuildAttack] = {
    "sign_flip": lambda strength: SignFlip() if strength is None else SignFlip(strength),
    "alie": Little,
    "ipm": lambda strength: InnerProduct() if strength is None else InnerProduct(strength),
    "dissensus": lambda strength: Dissensus() if strength is None else Dissensus(strength),
    "random": lambda strength: Noise() if strength is None else Noise(strength),
    "nan": lambda _: NotANumber(),
    "huge_norm": lambda strength: HugeNorm() if strength is None else HugeNorm(strength),
    "replay": lambda _: OldStates(None),
    "stale": lambda _: OldStates(STALE),
    "equivocation": lambda strength: Equivocation() if strength is None else Equivocation(strength),
}
"""By the name in `simulation.attackers.kind`."""

__all__ = ["ATTACKS", "Attack", "BuildAttack", "Scene"]
