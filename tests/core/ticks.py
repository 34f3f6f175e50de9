"""Nodes that act by ticks in bad weather: messages get lost or come late, nodes pause and find their mail later."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from gossipfl.config.gossip import GossipConfig
from gossipfl.core.codecs.packing import FLOW_BYTES, packer_for
from gossipfl.core.events import Received, Send, Started, TimerFired
from gossipfl.core.messages import Packet, Publishable
from gossipfl.core.mixing.weighted import Weighted
from gossipfl.core.protocol import Parts, Protocol, Schedule
from gossipfl.core.protocols import PROTOCOLS
from gossipfl.core.protocols.pace import DEADLINE
from gossipfl.core.snapshot import Snapshot
from gossipfl.sim.clock import Clock
from gossipfl.sim.happenings import Happening, Message
from gossipfl.sim.links import Edge, Fate
from gossipfl.sim.network import Network, NetworkParts, Weighed
from gossipfl.state import AdapterState


@dataclass(frozen=True, slots=True)
class Weather:
    """What happens to messages and nodes.

    Attributes:
        loss: part of the messages that vanish.
        most_delay: ticks a message takes at most, from 0, all equally likely.
        pauses: part of the ticks a node sleeps through.
    """

    loss: float = 0.0
    most_delay: int = 0
    pauses: float = 0.0


class Ticking:
    """Nodes that do nothing but gossip, driven tick by tick through the simulator's own network.

    Attributes:
        nodes: protocols by name.
        now: the tick.
    """

    def __init__(
        self,
        schedule: Schedule,
        initial: Mapping[str, AdapterState],
        gossip: GossipConfig,
        weather: Weather,
        seed: int,
    ) -> None:
        self._weather = weather
        self._rng = np.random.default_rng(seed)
        self._clock: Clock[Happening[AdapterState]] = Clock()
        parts: NetworkParts[AdapterState] = NetworkParts(_weigh, self._carry, reordering=True)
        self._network: Network[AdapterState] = Network(parts, self._clock, lambda _sender, _size: None)
        self._mail: dict[str, list[Message[AdapterState]]] = {name: [] for name in initial}
        zero = AdapterState.zeros(next(iter(initial.values())).spec)
        gossip = gossip.model_copy(update={"settle_rounds": 10**6, "linger_s": 1e9})
        self.now = 0
        self.nodes: dict[str, Protocol[AdapterState]] = {
            name: PROTOCOLS[gossip.protocol](
                Parts(
                    name=name,
                    schedule=schedule,
                    mixing=Weighted[AdapterState](),
                    gossip=gossip,
                    phases=0,
                    local_steps=1,
                    clear=Publishable,
                    snapshot=Snapshot(state),
                    packer=partial(packer_for, gossip, seed, zero, name),
                )
            )
            for name, state in initial.items()
        }
        for name in self.nodes:
            self._handle(name, Started())

    def tick(self) -> None:
        """What has arrived is handed out, then every node that is awake acts once."""
        self.now += 1
        while len(self._clock) and self._clock.next_at <= self.now:
            message = self._clock.next()
            assert isinstance(message, Message)
            self._mail[message.receiver].append(message)
        for name in self.nodes:
            if self._rng.random() >= self._weather.pauses:
                for message in self._read(name):
                    assert isinstance(message.content, Packet)
                    flow = message.crossing.flow if message.crossing else None
                    self._handle(name, Received(message.sender, message.content.seen, message.header, flow))
                self._handle(name, TimerFired(DEADLINE))

    @property
    def snapshots(self) -> dict[str, Snapshot[AdapterState]]:
        """By node."""
        return {name: node.snapshot for name, node in self.nodes.items()}

    @property
    def rounds(self) -> int:
        """Of the node that has finished most."""
        return max(snapshot.round for snapshot in self.snapshots.values())

    def error(self, mean: np.ndarray) -> float:
        """Largest distance of any value of any node from the mean."""
        return max(float(np.abs(snapshot.state.vector - mean).max()) for snapshot in self.snapshots.values())

    def _read(self, name: str) -> Iterator[Message[AdapterState]]:
        mail, self._mail[name] = self._mail[name], []
        return (message for message in mail if not self._network.passes(message))

    def _handle(self, name: str, event: Received[AdapterState] | Started | TimerFired) -> None:
        for effect in self.nodes[name].handle(event, float(self.now)):
            if isinstance(effect, Send):
                # each one leaves: nothing waits for a line
                self._network.post(name, replace(effect, replaceable=False))

    def _carry(self, edge: Edge, size: int) -> Fate:  # noqa: ARG002  # all are alike
        if self._rng.random() < self._weather.loss:
            return Fate(0.0, ())
        return Fate(0.0, (float(self._rng.integers(self._weather.most_delay + 1)),))


def _weigh(sender: str, packet: Packet[AdapterState]) -> Weighed:  # noqa: ARG001  # all are alike
    values = packet.seen.spec.size
    return Weighed(packet.size, 4 * values, FLOW_BYTES * values)
