"""One attacker: what it remembers of itself, and what it says in place of the truth."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic

from gossipfl.core.attacks.seam import Attack, Scene
from gossipfl.core.rng import generator
from gossipfl.core.vector import P

REMEMBERED = 8
"""Publications of an attacker that it can send again: its first, and the last ones."""


@dataclass(frozen=True, slots=True)
class Knowledge(Generic[P]):
    """What an attacker knows when it is about to send.

    Attributes:
        honest: states of honest nodes, by name: of all of them, or of those that it has heard.
        attackers: names of all who attack.
        weights: with which the receiver mixes, its own weight too, by name.
    """

    honest: Mapping[str, P]
    attackers: frozenset[str]
    weights: Mapping[str, float]


@dataclass(slots=True)
class Liar(Generic[P]):
    """All of an attacker that changes; it can be pickled.

    Attributes:
        name: the attacker's.
        seed: of what it draws.
        said: its true states at its publications.
        lies: messages so far.
    """

    name: str
    seed: int
    said: list[P] = field(default_factory=list)
    lies: int = 0

    def instead(self, attack: Attack[P], truth: P, receiver: str, known: Knowledge[P]) -> P:
        """What it says to a receiver; the truth as long as it knows of no honest node."""
        self._remember(truth)
        self.lies += 1
        if not known.honest:
            return truth
        scene = Scene(
            me=self.name,
            receiver=receiver,
            own=truth,
            earlier=tuple(self.said[:-1]),
            honest=known.honest,
            attackers=known.attackers,
            weights=known.weights,
            rng=generator(self.seed, node=self.name, purpose="attack", step=self.lies),
        )
        return attack.send(scene)

    def _remember(self, state: P) -> None:
        # one publication goes to several receivers
        if not self.said or self.said[-1] is not state:
            self.said.append(state)
            if len(self.said) > REMEMBERED:
                del self.said[1]
