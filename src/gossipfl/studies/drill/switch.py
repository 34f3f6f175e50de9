"""A switch in software: IP packets from each place's device to the right other one, in whatever weather.

    device ── read ──> lane of (from, to) ── arrival ──> queue ── in time ──> device

Kernels may lack the modules that delay and drop packets; every kernel with TUN devices has what this needs.
"""

import contextlib
import heapq
import itertools
import os
import selectors
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from types import TracebackType
from typing import Self

from gossipfl.studies.drill.weather import FAIR, Lane, Weather

LARGEST_PACKET = 1 << 16
_AT_ONCE = 64
"""Packets of one device before others get their turn."""


@dataclass(frozen=True, slots=True)
class Port:
    """A device of the switch.

    Attributes:
        name: of the place behind it.
        address: of the place.
        device: file descriptor of its TUN device, which does not block.
    """

    name: str
    address: IPv4Address
    device: int


class Switch:
    """Carries packets for as long as it is entered, in a thread of its own.

    Args:
        seed: of losses.
    """

    def __init__(self, ports: Mapping[str, Port], *, seed: int = 0) -> None:
        self._ports = ports
        self._by_address = {port.address.packed: port for port in ports.values()}
        pairs = itertools.permutations(sorted(ports), 2)
        self._lanes = {pair: Lane(seed + number) for number, pair in enumerate(pairs)}
        self._queue: list[tuple[float, int, int, bytes]] = []
        self._number = itertools.count()
        self._wake, self._stop = os.pipe()
        self._thread = threading.Thread(target=self._carry, name="switch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._stop)
        self._thread.join()
        os.close(self._wake)

    def change(self, weather: Weather, suits: Callable[[str, str], bool] = lambda _from, _to: True) -> None:
        """Sets the weather of every direction (from, to) that suits; the others keep theirs."""
        for (sender, receiver), lane in self._lanes.items():
            if suits(sender, receiver):
                lane.weather = weather

    def clear(self) -> None:
        """Fair weather everywhere."""
        self.change(FAIR)

    def _carry(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake, selectors.EVENT_READ)
            for port in self._ports.values():
                selector.register(port.device, selectors.EVENT_READ, port)
            while True:
                ready = selector.select(self._patience_s())
                for key, _ in ready:
                    if key.data is None:
                        return
                    self._take(key.data)
                self._deliver()

    def _patience_s(self) -> float | None:
        return max(0.0, self._queue[0][0] - time.monotonic()) if self._queue else None

    def _take(self, port: Port) -> None:
        for _ in range(_AT_ONCE):
            try:
                packet = os.read(port.device, LARGEST_PACKET)
            except BlockingIOError:
                return
            receiver = self._receiver(packet)
            if receiver is None or receiver is port:
                continue
            arrival = self._lanes[port.name, receiver.name].arrival(packet, time.monotonic())
            if arrival is not None:
                heapq.heappush(self._queue, (arrival, next(self._number), receiver.device, packet))

    def _receiver(self, packet: bytes) -> Port | None:
        # version 4; a device also hears the kernel's own IPv6 greetings
        return self._by_address.get(packet[16:20]) if packet[0] >> 4 == 4 else None

    def _deliver(self) -> None:
        now = time.monotonic()
        while self._queue and self._queue[0][0] <= now:
            _, _, device, packet = heapq.heappop(self._queue)
            # a full device loses packets, as a full card does
            with contextlib.suppress(BlockingIOError, OSError):
                os.write(device, packet)
