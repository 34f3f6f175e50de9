"""Lines between simulated nodes: what is sent, what waits, what never leaves."""

from collections import Counter
from collections.abc import Callable

from gossipfl.config.simulation import PartitionConfig
from gossipfl.core.events import Send
from gossipfl.core.messages import Header, Packet, Publishable, Receipt
from gossipfl.sim.availability import Partition
from gossipfl.sim.clock import Clock
from gossipfl.sim.happenings import Happening, LineFree, Message
from gossipfl.sim.links import Carry, Fate
from gossipfl.sim.network import Network, NetworkParts, Weighed

SIZE = 200


class World:
    """A clock and a network of two nodes, on which each message takes a second and 2 s of the line."""

    def __init__(self, carry: Carry | None = None) -> None:
        self.clock: Clock[Happening[float]] = Clock()
        self.sent: Counter[str] = Counter()
        self.arrived: list[tuple[float, float]] = []
        parts: NetworkParts[float] = NetworkParts(
            weigh=lambda _sender, _packet: Weighed(SIZE, 2 * SIZE, 0),
            carry=carry or (lambda _edge, _size: Fate(2.0, (3.0,))),
            partitions=[
                Partition(PartitionConfig(from_s=0.0, groups=(("a",),)), ("a", "b")),
                Partition(PartitionConfig(from_s=0.0, groups=(("b",),)), ("a", "b")),
            ],
        )
        self.network: Network[float] = Network(parts, self.clock, self._on_sent)

    def _on_sent(self, sender: str, size: int) -> None:
        self.sent[sender] += size

    def post(self, state: float, *, replaceable: bool) -> None:
        self.network.post("a", Send("b", Packet(Publishable(state, Receipt()), state), Header(0, 0), replaceable))

    def run(self, before_each: Callable[[], None] = lambda: None) -> None:
        while len(self.clock):
            match self.clock.next():
                case Message(content=Packet(seen=seen)) as message if not self.network.passes(message):
                    self.arrived.append((self.clock.now, seen))
                case LineFree(sender=sender, receiver=receiver):
                    before_each()
                    self.network.line_free((sender, receiver))
                case _:
                    pass


def test_what_waits_is_replaced_by_what_is_newer_and_its_bytes_are_never_sent() -> None:
    world = World()
    for state in (1.0, 2.0, 3.0):
        world.post(state, replaceable=True)
    assert world.sent["a"] == SIZE
    world.run()
    assert world.arrived == [(3.0, 1.0), (5.0, 3.0)]
    assert world.sent["a"] == 2 * SIZE


def test_what_may_not_be_replaced_is_sent_one_after_the_other() -> None:
    world = World()
    for state in (1.0, 2.0, 3.0):
        world.post(state, replaceable=False)
    world.run()
    assert world.arrived == [(3.0, 1.0), (5.0, 2.0), (7.0, 3.0)]
    assert world.sent["a"] == 3 * SIZE


def test_what_a_killed_node_had_not_put_on_the_line_is_neither_sent_nor_counted() -> None:
    world = World()
    for state in (1.0, 2.0):
        world.post(state, replaceable=False)
    world.run(before_each=lambda: world.network.forget("a"))
    assert world.arrived == [(3.0, 1.0)]
    assert world.sent["a"] == SIZE


def test_a_lost_message_was_sent_all_the_same() -> None:
    world = World(carry=lambda _edge, _size: Fate(2.0, ()))
    world.post(1.0, replaceable=True)
    world.run()
    assert world.arrived == []
    assert world.sent["a"] == SIZE


def test_the_second_of_two_copies_is_a_replay() -> None:
    world = World(carry=lambda _edge, _size: Fate(0.0, (1.0, 2.0)))
    world.post(1.0, replaceable=True)
    world.run()
    assert world.arrived == [(1.0, 1.0)]


def test_two_nodes_are_cut_as_long_as_one_of_two_partitions_lasts() -> None:
    network = World().network
    network.split(0)
    network.split(1)
    network.heal(0)
    assert network.is_cut("a", "b")
    network.heal(1)
    assert not network.is_cut("a", "b")
