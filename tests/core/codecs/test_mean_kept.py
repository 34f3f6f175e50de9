"""Codecs that lose something keep the network's mean: with states in float64, so that nothing else could move it."""

from collections import deque
from dataclasses import dataclass
from typing import Self

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.core.scheduler import names, schedule

from gossipfl.config.gossip import GossipConfig
from gossipfl.core.codecs import CODECS, Codec, Stream
from gossipfl.core.events import Effect, Pack, Packet, Publishable, Received, Send, Snapshot, Started
from gossipfl.core.mixing.weighted import Weighted
from gossipfl.core.protocol import Parts, Protocol
from gossipfl.core.protocols import PROTOCOLS
from gossipfl.core.rng import generator
from gossipfl.state import AdapterSpec, Segment

SPEC = AdapterSpec((Segment("matrix", (20, 30)), Segment("bias", (40,))))
NODES, ROUNDS = names(8), 200
LOSSY = sorted(name for name, build in CODECS.items() if not build(GossipConfig()).exact)


@dataclass(frozen=True, slots=True)
class Exact:
    """A vector in float64."""

    values: NDArray[np.float64]

    def __add__(self, other: Self, /) -> Self:
        return type(self)(self.values + other.values)

    def __sub__(self, other: Self, /) -> Self:
        return type(self)(self.values - other.values)

    def __mul__(self, scalar: float, /) -> Self:
        return type(self)(self.values * scalar)

    def __abs__(self) -> float:
        return float(np.linalg.norm(self.values))


def packer(codec: Codec, name: str) -> Pack[Exact]:
    """The real codec between states in float64; all nodes start from what is seen as 0."""
    stream = Stream(generator(0, node=name, purpose="test"))
    seen = Exact(np.zeros(SPEC.size))

    def pack(content: Publishable[Exact]) -> Packet[Exact]:
        nonlocal seen
        step = (content.state - seen).values.astype(np.float32)
        payload = memoryview(codec.encode(step, SPEC, stream)).cast("B")
        seen = seen + Exact(codec.decode(payload, SPEC).astype(np.float64))
        return Packet(content, seen, content.state - seen)

    return pack


def play(name: str) -> list[Exact]:
    """Where the nodes of a ring end."""
    gossip = GossipConfig(protocol="sync", codec=name, settle_rounds=ROUNDS, deadline_s=1e6, linger_s=1e6)
    nodes = {node: machine(node, gossip) for node in NODES}
    letters: deque[tuple[str, Send[Exact]]] = deque()

    def post(sender: str, effects: list[Effect[Exact]]) -> None:
        letters.extend((sender, effect) for effect in effects if isinstance(effect, Send))

    for node, protocol in nodes.items():
        post(node, protocol.handle(Started(), 0.0))
    while letters:
        sender, letter = letters.popleft()
        arrived = Received(sender, letter.packet.seen, letter.header)
        post(letter.receiver, nodes[letter.receiver].handle(arrived, 0.0))
    assert all(protocol.snapshot.round == ROUNDS for protocol in nodes.values())
    return [protocol.snapshot.state for protocol in nodes.values()]


def start(name: str) -> Exact:
    return Exact(generator(0, node=name, purpose="start").standard_normal(SPEC.size))


def machine(name: str, gossip: GossipConfig) -> Protocol[Exact]:
    codec = CODECS[gossip.codec](gossip)
    parts: Parts[Exact] = Parts(
        name=name,
        schedule=schedule("ring", len(NODES)),
        mixing=Weighted[Exact](),
        gossip=gossip,
        phases=0,
        local_steps=1,
        clear=Publishable,
        snapshot=Snapshot(start(name)),
        packer=lambda: packer(codec, name),
    )
    return PROTOCOLS["sync"](parts)


def spread(states: list[Exact]) -> float:
    return float(np.stack([state.values for state in states]).std(axis=0).mean())


@pytest.mark.parametrize("name", LOSSY)
def test_the_mean_is_kept_to_a_millionth_of_a_millionth(name: str) -> None:
    first, last = [start(node) for node in NODES], play(name)
    before, after = (np.mean([state.values for state in states], axis=0) for states in (first, last))
    assert np.abs(after - before).max() < 1e-12
    # and it was no idle run
    assert spread(last) < 0.6 * spread(first)
    assert all(abs(there - here) > 1 for there, here in zip(last, first, strict=True))
