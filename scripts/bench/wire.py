#!/usr/bin/env python3
"""What the wire costs: a ring of processes on loopback that exchange adapters, without training.

.venv/bin/python scripts/bench/wire.py [--nodes 3] [--rounds 30]

A node-round is one state out to, and one in from, each of two neighbors. CPU-seconds are user and system time of the
whole process, all threads.
"""

import argparse
import asyncio
import multiprocessing
import os
import resource
import socket
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np

from gossipfl.config.peers import NodeConfig
from gossipfl.core.codecs.dtypes import Plain
from gossipfl.core.codecs.packing import Whole
from gossipfl.core.handshake import Greeting
from gossipfl.core.messages import Header, Publishable, Receipt
from gossipfl.net.identity import Identity
from gossipfl.net.issuing import make_authority, make_node
from gossipfl.net.limits import Limits
from gossipfl.net.reports import StatusSnapshot
from gossipfl.net.transport import Arrived, LinkUp, NetEvent, Transport
from gossipfl.state import AdapterSpec, AdapterState, Segment

WARM_UP = 5
IDLE_S = 5.0


@dataclass(frozen=True)
class Task:
    """What one process does."""

    identity: Identity
    me: NodeConfig
    neighbors: tuple[NodeConfig, ...]
    values: int
    rounds: int


@dataclass(frozen=True)
class Figures:
    """What it cost."""

    cpu_s: float
    seconds: float
    bytes_sent: int
    peak_bytes: int
    idle_share: float


def cpu_s() -> float:
    """Of this process until now."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def play(task: Task) -> Figures:
    """Exchanges for some rounds."""
    spec = AdapterSpec((Segment("w", (task.values,)),))
    rng = np.random.default_rng(0)
    states = [AdapterState(spec, rng.standard_normal(task.values, np.float32)) for _ in range(2)]
    pack = Whole(Plain())
    packets = [pack(Publishable(state, Receipt())) for state in states]
    events: asyncio.Queue[NetEvent] = asyncio.Queue()
    greeting = Greeting(1, task.me.name, {"model": "bench"}, (), ("fp32",), 1, 0, 1, None)
    transport = Transport(
        task.identity,
        task.me,
        task.neighbors,
        greet=lambda _: greeting,
        origin=AdapterState.zeros(spec),
        codec=Plain(),
        limits=Limits(),
        deliver=events.put_nowait,
        status=lambda: StatusSnapshot(task.me.name),
    )
    waiting: dict[type, int] = {}

    async def wait(kind: type, count: int) -> None:
        while waiting.get(kind, 0) < count:
            event = await events.get()
            waiting[type(event)] = waiting.get(type(event), 0) + 1
        waiting[kind] -= count

    async with transport:
        await wait(LinkUp, len(task.neighbors))
        started, clock, sent = 0.0, 0.0, 0
        for round_ in range(WARM_UP + task.rounds):
            if round_ == WARM_UP:
                await transport.flush(10)
                started, clock, sent = cpu_s(), time.perf_counter(), transport.counters.bytes_sent
            for neighbor in task.neighbors:
                transport.post(neighbor.name, packets[round_ % 2], Header(round_, 0), None, replaceable=False)
            await wait(Arrived, len(task.neighbors))
        await transport.flush(10)
        used, seconds = cpu_s() - started, time.perf_counter() - clock
        sent = transport.counters.bytes_sent - sent
        idle = cpu_s()
        await asyncio.sleep(IDLE_S)
        idle_share = (cpu_s() - idle) / IDLE_S
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Figures(used, seconds, sent, peak, idle_share)


def process(task: Task, pipe: Connection) -> None:
    """One node."""
    pipe.send(asyncio.run(play(task)))


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


def tasks_of(count: int, values: int, rounds: int, *, tls: bool) -> list[Task]:
    """A ring with fresh certificates."""
    nodes = [NodeConfig(name=f"n{place}", address=f"127.0.0.1:{port}") for place, port in enumerate(free_ports(count))]
    authority = make_authority()
    tasks = []
    for place, node in enumerate(nodes):
        pair = make_node(node.name, node.address, authority=authority)
        identity = Identity(node.name, pair.certificate, pair.key, authority.certificate)
        neighbors = {nodes[(place + step) % count].name: nodes[(place + step) % count] for step in (1, -1)}
        who = identity if tls else Identity(node.name, insecure=True)
        tasks.append(Task(who, node, tuple(neighbors.values()), values, rounds))
    return tasks


def measure(count: int, values: int, rounds: int, *, tls: bool) -> None:
    """One line of the table."""
    context = multiprocessing.get_context("spawn")
    running = []
    for task in tasks_of(count, values, rounds, tls=tls):
        ours, theirs = context.Pipe()
        child = context.Process(target=process, args=(task, theirs))
        child.start()
        running.append((child, ours))
    figures = [pipe.recv() for _, pipe in running]
    for child, _ in running:
        child.join()
    cpu = sum(one.cpu_s for one in figures)
    sent = sum(one.bytes_sent for one in figures)
    node_rounds = count * rounds
    payload = values * 4 * min(2, count - 1)
    print(
        f"{values * 4 / 1e6:6.2f} MB {'mTLS' if tls else 'plain':6s}"
        f"{cpu / node_rounds:10.4f} CPU-s a node-round{cpu / sent * 1e9:8.2f} CPU-s/GB"
        f"{max(one.seconds for one in figures) / rounds:9.4f} s a round"
        f"{sent / node_rounds / payload:9.5f} × payload"
        f"{max(one.idle_share for one in figures) * 100:7.2f}% idle"
        f"{max(one.peak_bytes for one in figures) / 1e6:8.0f} MB peak",
        flush=True,
    )


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--values", type=int, nargs="*", default=[460_000, 4_600_000])
    chosen = parser.parse_args()
    print(f"ring of {chosen.nodes}, {os.cpu_count()} cores, {chosen.rounds} rounds")
    for values in chosen.values:
        for tls in (False, True):
            measure(chosen.nodes, values, chosen.rounds, tls=tls)


if __name__ == "__main__":
    main()
