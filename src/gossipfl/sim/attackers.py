"""Nodes that lie: what they send is what an attack makes of what everybody has.

    Send ── attack(everything there is to know) ──> Send of another state          receivers check it as every message

A user's own attack is `module:callable`; it gets `strength`, and gives an `Attack`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Generic

from gossipfl.config.simulation import AttackersConfig
from gossipfl.core.attacks import ATTACKS, Attack, Scene
from gossipfl.core.events import Send
from gossipfl.core.protocol import Schedule
from gossipfl.core.rng import generator
from gossipfl.core.tables import resolve
from gossipfl.core.vector import P
from gossipfl.sim.body import Body

REMEMBERED = 8
"""Publications of an attacker that it can send again: its first, and the last ones."""


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
        _remember(body, send.packet.seen)
        body.lies += 1
        scene = Scene(
            me=name,
            receiver=send.receiver,
            own=send.packet.seen,
            earlier=tuple(body.said[:-1]),
            honest={other: bodies[other].snapshot.state for other in bodies if other not in self.names},
            attackers=self.names,
            weights=self.schedule.row(send.receiver, send.header.round).weights,
            rng=generator(self.seed, node=name, purpose="attack", step=body.lies),
        )
        return replace(send, packet=replace(send.packet, seen=self.attack.send(scene)))


def attackers_of(config: AttackersConfig, schedule: Schedule, seed: int) -> Attackers[P] | None:
    """Who attacks, and how; None where all are honest.

    Raises:
        ConfigError: there is no such attack.
    """
    if config.kind == "none" or not config.nodes:
        return None
    build = resolve(ATTACKS, config.kind, field="simulation.attackers.kind")
    return Attackers(frozenset(config.nodes), build(config.strength), schedule, seed)


def _remember(body: Body[P], state: P) -> None:
    # one publication goes to several receivers
    if not body.said or body.said[-1] is not state:
        body.said.append(state)
        if len(body.said) > REMEMBERED:
            del body.said[1]
