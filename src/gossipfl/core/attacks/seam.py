"""What an attacker knows, and what it makes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol

import numpy as np

from gossipfl.core.vector import P


@dataclass(frozen=True, slots=True)
class Scene(Generic[P]):
    """What an attacker sees when it is about to send: everything, the worst that is studied.

    Attributes:
        me: its name.
        receiver: who is to get it.
        own: its true state.
        earlier: its true states at its publications so far, this one left out; the last few, oldest first.
        honest: state of every honest node, by name; one at least.
        attackers: names of all who attack; they know of each other.
        weights: with which the receiver mixes, its own weight too, by name.
        rng: for this message alone.
    """

    me: str
    receiver: str
    own: P
    earlier: Sequence[P]
    honest: Mapping[str, P]
    attackers: frozenset[str]
    weights: Mapping[str, float]
    rng: np.random.Generator


class Attack(Protocol[P]):
    """What is sent in place of a state."""

    def send(self, scene: Scene[P]) -> P:
        """The lie; it changes no input."""
        ...
