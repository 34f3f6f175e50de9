"""ε of correlated noise by adversary: what the account is charged for, and what weaker ones see."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from gossipfl.privacy.accounting import Charge, epsilon

ADVERSARIES: Mapping[str, str] = {
    "outsider": "sees every message of every node",
    "any neighbor": "the worst of them, who knows the noise that it shares",
    "all neighbors": "together, who know all noise that is shared; the account's",
}
"""Strongest last; adjacency as at level update: all data of the node present or absent."""


def exposed(charges: Iterable[Charge], delta: float, accountant: str) -> dict[str, float] | None:
    """ε by adversary; None when a charge does not say what weaker ones face, or there is none."""
    charges = tuple(charges)
    known = [(charge, charge.exposure) for charge in charges if charge.exposure is not None]
    if not charges or len(known) < len(charges):
        return None
    by_adversary = {
        "outsider": [replace(charge, noise_multiplier=faced.outsider) for charge, faced in known],
        "any neighbor": [replace(charge, noise_multiplier=faced.neighbor) for charge, faced in known],
        "all neighbors": charges,
    }
    return {name: epsilon(some, delta, accountant) for name, some in by_adversary.items()}
