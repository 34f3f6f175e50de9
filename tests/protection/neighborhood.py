"""Guards of a small graph, with real certificates or none, and a post that a test may open."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gossipfl.config.graph_types import Graph
from gossipfl.config.protection import ProtectionConfig
from gossipfl.config.topology import TopologyConfig
from gossipfl.core.events import Heard, Send, Summed
from gossipfl.core.messages import Header, Packet, Publishable, Receipt
from gossipfl.core.rng import generator
from gossipfl.core.topology import build_schedule
from gossipfl.net.identity import Identity
from gossipfl.net.issuing import KeyPair, make_authority, make_node
from gossipfl.net.pinning import Trust
from gossipfl.node.vouching import Certified
from gossipfl.privacy.signing import Signer
from gossipfl.protection.agreement import Draw
from gossipfl.protection.guards import build_guard
from gossipfl.protection.letters import Guard, Job, Letter
from gossipfl.protection.terms import Terms
from gossipfl.protection.vouching import Unsigned, Voucher
from gossipfl.state import AdapterSpec, AdapterState, Segment

NAMES = ("a", "b", "c", "d")
SLANTED: dict[str, Any] = {"weights": f"{__name__}:slanted"}
Events = list[Heard | Summed[AdapterState]]


def spec_of(size: int) -> AdapterSpec:
    """One vector."""
    return AdapterSpec((Segment("vector", (size,)),))


def slanted(graph: Graph, node: str) -> Mapping[str, float]:
    """Weights of which no two are equal: what v gives j is not what j gives v."""
    place = {name: number for number, name in enumerate(graph)}
    return {other: 0.05 * (place[node] + 1) + 0.02 * (place[other] + 1) for other in graph.neighbors(node)}


def terms_of(
    name: str, *, size: int = 40, names: Sequence[str] = NAMES, weights: str = "auto", **changes: Any
) -> Terms:
    """A node's in a complete graph."""
    schedule = build_schedule(TopologyConfig(kind="complete", weights=weights), names)
    config = ProtectionConfig.model_validate({"kind": "masked", **changes})
    return Terms(name, schedule, config, spec_of(size), b"experiment", 1e4)


def seeded(name: str, life: int = 0) -> Draw:
    """Keys that are the same in every run of a test."""
    return lambda receiver, size: generator(life, node=f"{name}>{receiver}", purpose="test keys").bytes(size)


def state_of(terms: Terms, seed: int) -> AdapterState:
    """A random state."""
    vector = np.random.default_rng(seed).standard_normal(terms.spec.size).astype(np.float32)
    return AdapterState(terms.spec, vector)


def send_of(receiver: str, state: AdapterState, round: int = 0) -> Send[AdapterState]:
    """As a protocol publishes it."""
    return Send(receiver, Packet(Publishable(state, Receipt()), state), Header(round, 1), replaceable=False)


class Certificates:
    """An authority and what it signed; nodes that know each other's certificates."""

    def __init__(self, names: Sequence[str] = NAMES) -> None:
        self.authority = make_authority()
        self.pairs: dict[str, KeyPair] = {name: make_node(name, None, authority=self.authority) for name in names}

    def voucher(self, name: str, *, knows: Sequence[str] = NAMES) -> Voucher:
        """A node's."""
        pair = self.pairs[name]
        trust = Trust(Identity(name, pair.certificate, pair.key, self.authority.certificate))
        for other in knows:
            trust.admit(other, self.pairs[other].certificate)
        return Certified(trust.identity, Signer.from_pem(pair.key), trust)


@dataclass
class Neighborhood:
    """Guards whose letters arrive at once, unless a test holds or changes them.

    Attributes:
        passes: what becomes of a letter from a sender; None: it is lost.
        seen: (sender, letter) of all that was sent.
        events: of each node so far.
        present: round that all are in.
    """

    guards: dict[str, Guard[AdapterState]]
    passes: Callable[[str, Letter], Letter | None] = lambda _, letter: letter
    seen: list[tuple[str, Letter]] = field(default_factory=list)
    events: dict[str, Events] = field(default_factory=dict)
    present: int = 0

    def meet(self, *names: str) -> None:
        """All links of these nodes open; default: of all."""
        for name in names or self.guards:
            for other in self.guards:
                if other != name:
                    self.post(name, self.guards[name].up(other))
                    self.post(other, self.guards[other].up(name) if names else ())

    def publish(self, name: str, state: AdapterState, round: int = 0, *, to: Sequence[str] = ()) -> None:
        """To everybody else, or to some."""
        for other in to or [other for other in self.guards if other != name]:
            self.work(name, self.guards[name].publish(send_of(other, state, round)))

    def work(self, name: str, jobs: Sequence[Job[AdapterState]]) -> None:
        """Does what a guard has planned."""
        for job in jobs:
            made = job()
            if isinstance(made, Letter):
                self.post(name, [made])
            elif made is not None:
                self.events.setdefault(name, []).append(made)

    def post(self, name: str, letters: Sequence[Letter]) -> None:
        """Delivers letters and all that follows from them."""
        ways = deque((name, letter) for letter in letters)
        while ways:
            sender, letter = ways.popleft()
            self.seen.append((sender, letter))
            passed = self.passes(sender, letter)
            if passed is None:
                continue
            taken = self.guards[passed.to].take(sender, passed, self.present)
            ways.extend((passed.to, each) for each in taken.letters)
            self.events.setdefault(passed.to, []).extend(taken.events)
            self.work(passed.to, taken.jobs)

    def sums(self, name: str) -> list[Summed[AdapterState]]:
        """What a node has learned."""
        return [event for event in self.events.get(name, []) if isinstance(event, Summed)]


def neighborhood(
    *, size: int = 40, certificates: Certificates | None = None, names: Sequence[str] = NAMES, **changes: Any
) -> Neighborhood:
    """All nodes of a complete graph, none of which knows another's key yet."""
    guards = {}
    for name in names:
        terms = terms_of(name, size=size, names=names, **changes)
        voucher = Unsigned() if certificates is None else certificates.voucher(name)
        guards[name] = build_guard(terms, voucher, seeded(name))
    return Neighborhood(guards)


def reborn(there: Neighborhood, name: str, life: int, **changes: Any) -> None:
    """A node is started again: it has lost all keys."""
    size = 40
    there.guards[name] = build_guard(terms_of(name, size=size, **changes), Unsigned(), seeded(name, life))
