"""What nodes may do that mean harm: for experiments, and to try a federation's own defenses.

    Send ── Liar: attack(everything there is to know) ──> another state        receivers check it as every message

Attacks on training data stand in the same table: of them this is only that they send the truth.
"""

from collections.abc import Callable, Mapping
from typing import Any

from gossipfl.core.attacks.dissensus import Dissensus
from gossipfl.core.attacks.equivocation import Equivocation
from gossipfl.core.attacks.inner_product import InnerProduct
from gossipfl.core.attacks.liar import Knowledge, Liar
from gossipfl.core.attacks.little import Little
from gossipfl.core.attacks.noise import HugeNorm, Noise, NotANumber
from gossipfl.core.attacks.old_states import OldStates
from gossipfl.core.attacks.seam import Attack, Scene
from gossipfl.core.attacks.sign_flip import SignFlip
from gossipfl.core.attacks.truthful import Truthful

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
    # what they do: `gossipfl.learning.data.poisons`
    "label_flip": lambda _: Truthful(),
    "backdoor": lambda _: Truthful(),
}
"""By the name in `simulation.attackers.kind` and `gossipfl node --attack`."""

__all__ = ["ATTACKS", "Attack", "BuildAttack", "Knowledge", "Liar", "Scene"]
