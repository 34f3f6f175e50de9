"""What some nodes send in place of their states: the door for attacks, none of which is built in yet.

A user's own is `module:callable`; it gets the settings and a generator, and gives (sender, its true state) -> what it
sends. Receivers check it as they check every message.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from gossipfl.config.simulation import AttackersConfig
from gossipfl.core.messages import Pack, Packet, Publishable
from gossipfl.state import AdapterState

Tamper = Callable[[str, AdapterState], AdapterState]
BuildTamper = Callable[[AttackersConfig, np.random.Generator], Tamper]


@dataclass(frozen=True, slots=True)
class Tampered:
    """Encodes what an attacker sends in place of its state; its own mixing goes by the truth."""

    name: str
    tamper: Tamper
    pack: Pack[AdapterState]

    def __call__(self, content: Publishable[AdapterState]) -> Packet[AdapterState]:
        """The next publication."""
        return replace(self.pack(replace(content, state=self.tamper(self.name, content.state))), residual=None)


def honest(config: AttackersConfig, rng: np.random.Generator) -> Tamper:  # noqa: ARG001  # nothing is drawn
    """Everybody sends what it has."""
    return lambda _sender, state: state


ATTACKS: Mapping[str, BuildTamper] = {"none": honest}
"""By the name in `simulation.attackers.kind`."""
