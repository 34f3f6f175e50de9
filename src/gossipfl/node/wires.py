"""How a node's transport is connected to its other parts."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gossipfl.config.loading import LoadedPeers
from gossipfl.config.peers import NodeConfig
from gossipfl.core.codecs import build_codec
from gossipfl.core.swim import Pace, Swim
from gossipfl.learning.bench import Bench
from gossipfl.net.cards import seal_for
from gossipfl.net.limits import Limits
from gossipfl.net.mesh import Mesh
from gossipfl.net.passage import unnoticed
from gossipfl.net.pinning import Trust
from gossipfl.net.transport import MembersChanged, NetEvent, Transport
from gossipfl.node.greeting import Greeter
from gossipfl.node.parts import OpenTransport
from gossipfl.node.ranks import specs_of
from gossipfl.node.record import NodeRecord
from gossipfl.node.state_directory import StateDirectory
from gossipfl.node.traces.seam import Traces
from gossipfl.protection.letters import Guard
from gossipfl.state import AdapterState


@dataclass(frozen=True, slots=True)
class Wires:
    """What a node's transport is connected to.

    Attributes:
        trust: of this life.
        relays, keeps_books: see `Transport`.
        guard: of this life; None where states travel as they are.
        asked: takes signed plans, see `Transport`.
        traces: told of every message; None where nobody asked for traces.
    """

    me: NodeConfig
    trust: Trust
    neighbors: Sequence[str]
    relays: Mapping[str, Sequence[NodeConfig]]
    greeter: Greeter
    directory: StateDirectory
    record: NodeRecord
    bench: Bench
    keeps_books: bool
    guard: Guard[AdapterState] | None
    asked: Callable[[bytes], str]
    traces: Traces | None


def opener(loaded: LoadedPeers, wires: Wires) -> OpenTransport:
    """What makes the node's transport."""
    gossip = loaded.experiment.experiment.gossip
    nodes, spec = {node.name: node for node in loaded.peers.nodes}, wires.bench.adapted.spec.shared()

    def mesh(limits: Limits, deliver: Callable[[NetEvent], None]) -> Mesh | None:
        if loaded.peers.membership == "static":
            return None
        # no life of this node that others remember was later, even where the state directory is lost
        incarnation = int(time.time() * 1000)
        seal = seal_for(wires.trust, wires.me.address or "")
        pace = Pace(tick_s=loaded.peers.probe_s)
        machine = Swim(wires.me.name, incarnation, pace, seal, np.random.default_rng())
        return Mesh(
            machine,
            wires.trust,
            limits,
            contacts=loaded.peers.join,
            changed=lambda up: deliver(MembersChanged(up)),
        )

    def open_transport(deliver: Callable[[NetEvent], None]) -> Transport:
        limits = Limits(
            message_timeout_s=gossip.message_timeout_s, max_norm=gossip.max_norm, **loaded.peers.limits.model_dump()
        )
        return Transport(
            wires.trust.identity,
            wires.me,
            [nodes[name] for name in wires.neighbors],
            greet=wires.greeter.greet,
            origin=wires.bench.adapted.initial.sharing(),
            codec=build_codec(gossip),
            limits=limits,
            deliver=deliver,
            status=wires.record.status,
            members=loaded.peers.nodes,
            heads=wires.directory.load_heads(),
            keeps_books=wires.keeps_books,
            specs=specs_of(loaded, spec),
            letters=wires.guard.sizes if wires.guard else {},
            trust=wires.trust,
            relays=wires.relays,
            carries=loaded.peers.relay,
            mesh=mesh(limits, deliver),
            asked=wires.asked,
            passed=wires.traces.passed if wires.traces else unnoticed,
        )

    return open_transport
