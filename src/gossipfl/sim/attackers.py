"""Nodes that lie: what they send is what an attack makes of what everybody has.

    Send ── Liar, who knows every state ──> Send of another state          receivers check it as every message

A user's own attack is `module:callable`; it gets `strength`, and gives an `Attack`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Generic

from gossipfl.config.attackers import AttackersConfig
from gossipfl.core.attacks import ATTACKS, Attack, Knowledge, Liar
from gossipfl.core.events import Send
from gossipfl.core.protocol import Schedule
from gossipfl.core.tables import resolve
from gossipfl.core.vector import P
from gossipfl.sim.body import Body


@dataclass(frozen=True, slots=True)
class Attackers(Generic[P]):
    """What some nodes send in place of their states; all that changes is in their bodies.

    Attributes:
        names: who attacks.
        attack: how.
        schedule: of everybody.
        seed: of what attacks draw.
    """

    names: frozenset[str]
    attack: Attack[P]
    schedule: Schedule
    seed: int

    def disguised(self, name: str, send: Send[P], bodies: Mapping[str, Body[P]]) -> Send[P]:
        """What leaves the node in place of a publication; of an honest node the same."""
        if name not in self.names:
            return send
        body = bodies[name]
        body.liar = body.liar or Liar(name, self.seed)
        known = Knowledge(
            honest={other: bodies[other].snapshot.state for other in bodies if other not in self.names},
            attackers=self.names,
            weights=self.schedule.row(send.receiver, send.header.round).weights,
        )
        lie = body.liar.instead(self.attack, send.packet.seen, send.receiver, known)
        return replace(send, packet=replace(send.packet, seen=lie))


def attackers_of(config: AttackersConfig, schedule: Schedule, seed: int) -> Attackers[P] | None:
    """Who attacks, and how; None where all are honest.

    Raises:
        ConfigError: there is no such attack.
    """
    if not config.active:
        return None
    build = resolve(ATTACKS, config.kind, field="simulation.attackers.kind")
    return Attackers(config.active, build(config.strength), schedule, seed)
