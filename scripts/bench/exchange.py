"""What one exchange costs a node: a ring of 4 real processes on loopback that mix random states, without training.

    .venv/bin/python -m scripts.bench.exchange [--level bare|node] [--protocol sync|wait_free] [--json]

bare: protocol, mixing, codec, checks, transport. node: the whole `gossipfl node`, with publication log (a signed,
fsynced line a round), metrics and the final checkpoint. A node-round is a state out to, and one in from, each of 2
neighbors. CPU-seconds are user and system time of the process between two rounds, all its threads, start-up excluded:
the median over blocks of rounds of the mean over nodes. On a busy machine read those, not the seconds. Bytes by the
interface are right only where nobody else uses it: begin the command with
`unshare -rn sh -c 'ip link set lo up && exec "$@"' --`.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from scripts.bench.exchange_node import Site, play_bare
from scripts.bench.exchange_work import Played, Work, start_vector
from scripts.bench.meters import loopback_bytes
from scripts.bench.processes import SPAWN, play_together

from gossipfl.config.peers import NodeConfig
from gossipfl.config.privacy import PrivacyConfig
from gossipfl.net.identity import Identity
from gossipfl.net.issuing import make_authority, make_node

NAMES = ("n0", "n1", "n2", "n3")
NEIGHBORS = 2
Play = Callable[[], Played]


@dataclass(frozen=True, slots=True)
class Figures:
    """One line of the table; costs a node-round, bytes as a factor on payload × neighbors.

    Attributes:
        cpu_s, seconds: median over blocks, with the smallest and the largest.
        counted, sockets, interface: by the transport's counters, by `TCP_INFO`, by the interface's counters.
        mean_error: largest difference of an entry of the mean over nodes before and after.
        spread: largest difference of an entry between two nodes at the end.
    """

    level: str
    protocol: str
    tls: bool
    values: int
    node_rounds: int
    cpu_s: tuple[float, float, float]
    seconds: tuple[float, float, float]
    counted: float
    sockets: float | None
    interface: float
    mean_error: float
    spread: float


def measure(level: str, work: Work, *, tls: bool) -> Figures:
    """Runs the ring once."""
    with tempfile.TemporaryDirectory() as folder:
        plays = _bare(work, tls=tls) if level == "bare" else _whole(Path(folder), work, tls=tls)
        before = loopback_bytes()
        played = play_together(plays)
        over_interface = loopback_bytes() - before
    values, sockets = played[0].final.size, sum(one.socket_bytes for one in played)
    payload = len(NAMES) * work.rounds * NEIGHBORS * values * 4
    mean = np.mean([one.final for one in played], axis=0, dtype=np.float64)
    wanted = np.mean([start_vector(name, values) for name in NAMES], axis=0, dtype=np.float64)
    return Figures(
        level=level,
        protocol=work.protocol,
        tls=tls,
        values=values,
        node_rounds=len(NAMES) * work.rounds,
        cpu_s=spread_of(blocks_of(played, "cpu_s", work)),
        seconds=spread_of(blocks_of(played, "at_s", work)),
        counted=sum(one.counted_bytes for one in played) / payload,
        sockets=sockets / payload if sockets else None,
        interface=over_interface / payload,
        mean_error=float(abs(mean - wanted).max()),
        spread=float(max(abs(one.final - mean).max() for one in played)),
    )


def blocks_of(played: Sequence[Played], what: str, work: Work) -> list[float]:
    """Mean over nodes of what a round of each block cost; the first block warms up."""
    """Mean over nodes of what a round of each block cost; the first block warms up."""
    columns = [[getattr(mark, what) for mark in one.marks] for one in played]
    return [float(cost) / work.block for cost in np.diff(columns, axis=1).mean(axis=0)[1:]]


def spread_of(costs: Sequence[float]) -> tuple[float, float, float]:
    """Median, smallest, largest."""
    return statistics.median(costs), min(costs), max(costs)


def _bare(work: Work, *, tls: bool) -> list[Play]:
    from gossipfl.studies.demo_files import HOST, free_ports  # noqa: PLC0415  # loads torch, which the nodes do without

    nodes = tuple(
        NodeConfig(name=name, address=f"{HOST}:{port}")
        for name, port in zip(NAMES, free_ports(len(NAMES)), strict=True)
    )
    authority = make_authority()
    together = SPAWN.Barrier(len(nodes))
    plays: list[Play] = []
    for node in nodes:
        pair = make_node(node.name, node.address, authority=authority)
        secure = Identity(node.name, pair.certificate, pair.key, authority.certificate)
        identity = secure if tls else Identity(node.name, insecure=True)
        plays.append(partial(play_bare, Site(identity, node, nodes), work, together))
    return plays


def _whole(folder: Path, work: Work, *, tls: bool) -> list[Play]:
    from scripts.bench.folders import experiment, write_nodes  # noqa: PLC0415  # loads torch
    from scripts.bench.whole_node import play_node  # noqa: PLC0415

    content = experiment(work.values, gossip=work.gossip, privacy=PrivacyConfig(level="none"))
    peers = write_nodes(folder, content, NAMES)
    return [partial(play_node, peers, name, work, insecure=not tls) for name in NAMES]


def _line(figures: Figures) -> str:
    cpu, seconds = figures.cpu_s, figures.seconds
    sockets = f"{figures.sockets:.5f}" if figures.sockets else "-"
    return (
        f"{figures.level:5s}{figures.protocol:10s}{figures.values / 1e6:5.2f}M {'mTLS ' if figures.tls else 'plain'}"
        f"  CPU-s {cpu[0]:.4f} ({cpu[1]:.4f} to {cpu[2]:.4f})"
        f"  s {seconds[0]:.4f} ({seconds[1]:.4f} to {seconds[2]:.4f})"
        f"  × payload: {figures.counted:.5f} counted, {sockets} sockets, {figures.interface:.5f} lo"
        f"  mean off by {figures.mean_error:.1e}, nodes apart {figures.spread:.1e}"
    )


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--level", choices=("bare", "node"), default="bare")
    parser.add_argument("--protocol", choices=("sync", "wait_free"), default="sync")
    parser.add_argument("--values", type=int, nargs="*", default=[460_000, 4_600_000])
    parser.add_argument("--block", type=int, default=10, help="rounds a block")
    parser.add_argument("--blocks", type=int, default=7, help="measured blocks; one more warms up")
    parser.add_argument("--json", action="store_true", help="figures as one JSON object")
    chosen = parser.parse_args()
    rows = []
    for values in chosen.values:
        for tls in (False, True):
            work = Work(chosen.protocol, values, (chosen.blocks + 1) * chosen.block, chosen.block)
            rows.append(measure(chosen.level, work, tls=tls))
            if not chosen.json:
                print(_line(rows[-1]), flush=True)
    if chosen.json:
        print(json.dumps({"exchange": [asdict(row) for row in rows]}))


if __name__ == "__main__":
    main()
