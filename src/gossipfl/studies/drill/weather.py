"""What a network does to packets from one place to another."""

import random
from dataclasses import dataclass

QUEUE_S = 1.0
"""Packets that would wait longer for their turn on a slow link are lost, as in a router's queue."""
_TCP = 6
_SYN, _ACK = 0x02, 0x10


@dataclass(frozen=True, slots=True)
class Weather:
    """Of one direction of one link.

    Attributes:
        delay_s: from one end to the other.
        loss: part of the packets that is lost.
        bytes_per_s: what goes over; None for as much as comes.
        cut: nothing goes over, and nobody is told.
        closed: a firewall: nothing that would begin a connection goes over.
    """

    delay_s: float = 0.0
    loss: float = 0.0
    bytes_per_s: float | None = None
    cut: bool = False
    closed: bool = False


FAIR = Weather()


class Lane:
    """One direction of one link, and what is under way on it.

    Args:
        seed: of losses.
    """

    def __init__(self, seed: int) -> None:
        self.weather = FAIR
        self._draw = random.Random(seed)  # noqa: S311  # of losses, not of keys
        self._free_at = 0.0

    def arrival(self, packet: bytes, now: float) -> float | None:
        """When a packet (IPv4) that is sent now arrives; None when it does not."""
        weather = self.weather
        if weather.cut or (weather.closed and begins_connection(packet)) or self._draw.random() < weather.loss:
            return None
        if weather.bytes_per_s is None:
            return now + weather.delay_s
        begin = max(now, self._free_at)
        if begin - now > QUEUE_S:
            return None
        self._free_at = begin + len(packet) / weather.bytes_per_s
        return self._free_at + weather.delay_s


def begins_connection(packet: bytes) -> bool:
    """Whether an IPv4 packet is the first of a TCP connection."""
    header_bytes = (packet[0] & 0x0F) * 4
    if packet[9] != _TCP or len(packet) < header_bytes + 14:
        return False
    return packet[header_bytes + 13] & (_SYN | _ACK) == _SYN
