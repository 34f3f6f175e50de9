"""How the own state is told: packed once for all receivers, or in a stream of its own for each.

Where a codec loses something, all neighbors see the same x̂ = x − residual; on a schedule of several rounds, where each
has other receivers, each k sees an x̂_k of its own, and x̂ is the mean of those that mix it in the round, by their
weights w_ki.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Generic

from gossipfl.core.codecs import build_codec
from gossipfl.core.events import Send
from gossipfl.core.messages import Header, Pack, Packet
from gossipfl.core.mixing.weighted import weighted_sum
from gossipfl.core.protocol import Parts
from gossipfl.core.snapshot import Snapshot
from gossipfl.core.vector import P


class Outlet(Generic[P]):
    """The newest publication, and what is not seen of it."""

    def __init__(self, parts: Parts[P]) -> None:
        self._parts = parts
        self._published: Send[P] | None = None
        self._pack: Pack[P] = parts.packer()
        self._residual: P | None = None
        # where each round has other receivers, none would know what the publication before was
        self._apart = parts.schedule.period not in {1, None} and not build_codec(parts.gossip).exact
        self._streams: dict[str, Pack[P]] = {}
        self._told: dict[str, Send[P]] = {}

    @property
    def residual(self) -> P | None:
        """What neighbors do not see of the newest publication; None: nothing."""
        return self._residual

    def packed(self, snapshot: Snapshot[P]) -> Packet[P]:
        """The state as the next publication to all, cleared for it."""
        packet = self.packed_by(self._pack, snapshot)
        self._residual = packet.residual
        return packet

    def packed_by(self, pack: Pack[P], snapshot: Snapshot[P]) -> Packet[P]:
        """The state as the next publication of a stream, cleared for it."""
        return pack(self._parts.clear(snapshot.state, snapshot.receipt))

    def publish(
        self, snapshot: Snapshot[P], receivers: tuple[str, ...], header: Header, *, replaceable: bool
    ) -> list[Send[P]]:
        """The state, cleared for publication, to each receiver; kept for `resend`."""
        if self._apart:
            return self._publish_apart(snapshot, receivers, header, replaceable=replaceable)
        packet = self.packed(snapshot)
        self._published = Send("", packet, header, replaceable)
        return [Send(receiver, packet, header, replaceable) for receiver in receivers]

    def resend(self, receiver: str) -> list[Send[P]]:
        """The newest publication of this life, if any, to one receiver whose link came up."""
        if self._apart:
            return [self._told[receiver]] if receiver in self._told else []
        return [] if self._published is None else [replace(self._published, receiver=receiver)]

    def _publish_apart(
        self, snapshot: Snapshot[P], receivers: tuple[str, ...], header: Header, *, replaceable: bool
    ) -> list[Send[P]]:
        """To each receiver in a stream of its own: the difference to what it saw when the two met last."""
        packets = {name: self.packed_by(self._stream(name), snapshot) for name in receivers}
        self._residual = self._unseen(packets, header.round)
        sends = [Send(name, packet, header, replaceable) for name, packet in packets.items()]
        self._told.update({send.receiver: send for send in sends})
        return sends

    def _stream(self, name: str) -> Pack[P]:
        if name not in self._streams:
            self._streams[name] = self._parts.packer()
        return self._streams[name]

    def _unseen(self, packets: Mapping[str, Packet[P]], number: int) -> P | None:
        """What is not seen of the state, by receivers that mix it, each by the weight with which it does."""
        row, me = self._parts.schedule.row, self._parts.name
        weights = {name: row(name, number).weights.get(me, 0.0) for name in packets}
        total = sum(weights.values())
        terms = [
            (weights[name] / total, packet.residual)
            for name, packet in packets.items()
            if weights[name] and packet.residual is not None
        ]
        return weighted_sum(terms) if terms else None
