"""Weather by itself, and real TCP between places that it lies between."""

import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from ipaddress import IPv4Address

import pytest

from gossipfl.studies.drill.namespaces import Places, open_places, why_not
from gossipfl.studies.drill.switch import Switch
from gossipfl.studies.drill.weather import Lane, Weather, begins_connection

SYN, ACK = 0x02, 0x10
PORT = 7000
LISTEN = f"""
import socket
server = socket.create_server(("0.0.0.0", {PORT}))
print("listening", flush=True)
while True:
    peer, _ = server.accept()
    peer.sendall(peer.recv(1 << 20))
"""
CALL = """
import socket, sys, time
started = time.monotonic()
try:
    peer = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=float(sys.argv[3]))
    peer.sendall(b"hello")
    print(peer.recv(99).decode(), time.monotonic() - started)
except OSError as error:
    print(type(error).__name__, 0)
"""


def packet(*, flags: int = ACK, protocol: int = 6, total: int = 60, options: int = 0) -> bytes:
    """An IPv4 packet with a TCP header, as far as anybody looks."""
    header = struct.pack("!BBHHHBBH", 0x45 + options, 0, total, 0, 0, 64, protocol, 0)
    header += IPv4Address("10.77.0.1").packed + IPv4Address("10.77.0.2").packed + bytes(4 * options)
    return (header + bytes(13) + bytes([flags])).ljust(total, b"\0")


def test_fair_weather_carries_at_once() -> None:
    assert Lane(0).arrival(packet(), 5.0) == 5.0


def test_delay_and_rate_add_up_and_what_waits_too_long_is_lost() -> None:
    lane = Lane(0)
    lane.weather = Weather(delay_s=0.2, bytes_per_s=100.0)
    arrivals = [lane.arrival(packet(total=60), 1.0) for _ in range(3)]
    # 0.6 s each; the third would wait 1.2
    assert arrivals[:2] == pytest.approx([1.8, 2.4])
    assert arrivals[2] is None
    assert lane.arrival(packet(total=60), 2.5) == pytest.approx(3.3)


def test_losses_come_to_their_part() -> None:
    lane = Lane(3)
    lane.weather = Weather(loss=0.3)
    lost = sum(lane.arrival(packet(), 0.0) is None for _ in range(10_000))
    # four standard deviations of a binomial
    assert abs(lost - 3000) < 4 * (10_000 * 0.3 * 0.7) ** 0.5


@pytest.mark.parametrize(
    ("sent", "begins"),
    [
        (packet(flags=SYN), True),
        (packet(flags=SYN, options=3), True),
        (packet(flags=SYN | ACK), False),
        (packet(flags=ACK), False),
        (packet(flags=SYN, protocol=17), False),
        (packet(flags=SYN)[:30], False),
    ],
)
def test_a_firewall_knows_the_first_packet_of_a_connection(sent: bytes, *, begins: bool) -> None:
    assert begins_connection(sent) == begins
    lane = Lane(0)
    lane.weather = Weather(closed=True)
    assert (lane.arrival(sent, 0.0) is None) == begins


@pytest.fixture(scope="module")
def places() -> Iterator[Places]:
    """Two places, with a server in each."""
    if lacks := why_not():
        pytest.skip(lacks)
    with open_places(["a", "b"]) as places:
        servers = [
            subprocess.Popen(places.inside(name, [sys.executable, "-c", LISTEN]), stdout=subprocess.PIPE, text=True)
            for name in places.namespaces
        ]
        try:
            for server in servers:
                assert server.stdout is not None
                assert server.stdout.readline() == "listening\n"
            yield places
        finally:
            for server in servers:
                server.kill()
                server.wait()


def call(places: Places, caller: str, to: str, timeout_s: float = 20.0) -> tuple[str, float]:
    """What came back, and how long it took."""
    address = str(places.ports[to].address)
    command = places.inside(caller, [sys.executable, "-c", CALL, address, str(PORT), str(timeout_s)])
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    word, seconds = done.stdout.split()
    return word, float(seconds)


def test_places_reach_each_other(places: Places) -> None:
    with Switch(places.ports):
        assert call(places, "a", "b")[0] == "hello"
        assert call(places, "b", "a")[0] == "hello"


def test_a_closed_place_calls_and_cannot_be_called(places: Places) -> None:
    with Switch(places.ports) as switch:
        switch.change(Weather(closed=True), lambda _, receiver: receiver == "b")
        assert call(places, "a", "b", timeout_s=0.5)[0] == "TimeoutError"
        assert call(places, "b", "a")[0] == "hello"


def test_a_cut_link_is_silent_until_it_is_mended(places: Places) -> None:
    with Switch(places.ports) as switch:
        switch.change(Weather(cut=True))
        assert call(places, "a", "b", timeout_s=0.5)[0] == "TimeoutError"
        switch.clear()
        assert call(places, "a", "b")[0] == "hello"


def test_delay_is_felt_in_both_directions(places: Places) -> None:
    with Switch(places.ports) as switch:
        switch.change(Weather(delay_s=0.1))
        word, seconds = call(places, "a", "b")
    # there and back for the connection, there and back for the word
    assert word == "hello"
    assert seconds >= 0.4


@pytest.mark.slow
def test_tcp_gets_through_where_a_third_of_the_packets_is_lost(places: Places) -> None:
    with Switch(places.ports, seed=1) as switch:
        switch.change(Weather(loss=0.3))
        assert call(places, "a", "b", timeout_s=60.0)[0] == "hello"


def test_a_switch_ends_when_it_is_left(places: Places) -> None:
    started = time.monotonic()
    with Switch(places.ports):
        pass
    assert time.monotonic() - started < 5.0
