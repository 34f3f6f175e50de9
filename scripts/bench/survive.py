"""Many nodes on one machine: 16 real processes with mutual TLS average, without training, for about two minutes.

    .venv/bin/python -m scripts.bench.survive [--nodes 16] [--rounds 600] [--values 4608] [--graph ring] [--json]

Each process is a whole `gossipfl node`: model, checks, a publication log with a signed and fsynced line a round.
Exchanges: states that a node has mixed, its own not counted. Seconds: of a node's round, all nodes' rounds together;
the first tenth warms up. Cores: CPU time of a process over time, in the rounds measured. Memory: its largest.
Nothing is lost when every node has mixed every round and the mean over nodes is what it was.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from scripts.bench.exchange_work import Played, Work, start_vector
from scripts.bench.folders import experiment, node_names, write_nodes
from scripts.bench.processes import play_together
from scripts.bench.whole_node import play_node

from gossipfl.config.privacy import PrivacyConfig
from gossipfl.config.topology import TopologyConfig

NEIGHBORS = {"ring": 2, "torus": 4, "complete": None}
WARM = 0.1
"""Part of the rounds that is not counted."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured; a core is one of this machine's.

    Attributes:
        exchanges_per_s: of all nodes together.
        p50_s, p99_s, worst_s: of a node's round.
        cores: used by a node, median and largest.
        memory_bytes: of a node, median and largest.
        lost: rounds that a node has not mixed, of all.
        mean_error: largest difference of an entry of the mean over nodes before and after.
    """

    nodes: int
    graph: str
    values: int
    rounds: int
    seconds: float
    exchanges_per_s: float
    p50_s: float
    p99_s: float
    worst_s: float
    cores: tuple[float, float]
    memory_bytes: tuple[float, float]
    lost: int
    mean_error: float


def measure(nodes: int, work: Work) -> Figures:
    """Runs the nodes once."""
    names = node_names(nodes)
    with tempfile.TemporaryDirectory() as folder:
        content = experiment(work.values, gossip=work.gossip, privacy=PrivacyConfig(level="none"))
        content = content.model_copy(update={"topology": TopologyConfig(kind=work.graph)})
        peers = write_nodes(Path(folder), content, names)
        played = play_together([partial(play_node, peers, name, work, insecure=False) for name in names])
    return _read(names, work, played)


def _read(names: Sequence[str], work: Work, played: Sequence[Played]) -> Figures:
    first = round(WARM * work.rounds)
    at_s = [np.array([mark.at_s for mark in one.marks])[first:] for one in played]
    rounds_s = np.concatenate([np.diff(times) for times in at_s])
    seconds = float(max(times[-1] for times in at_s) - min(times[0] for times in at_s))
    spans = [(one.marks[first], one.marks[-1]) for one in played]
    cores = [(last.cpu_s - begin.cpu_s) / (last.at_s - begin.at_s) for begin, last in spans]
    memory = [one.peak_bytes for one in played]
    values = played[0].final.size
    mean = np.mean([one.final for one in played], axis=0, dtype=np.float64)
    wanted = np.mean([start_vector(name, values) for name in names], axis=0, dtype=np.float64)
    degree = NEIGHBORS[work.graph] or len(names) - 1
    return Figures(
        nodes=len(names),
        graph=work.graph,
        values=values,
        rounds=work.rounds,
        seconds=seconds,
        exchanges_per_s=rounds_s.size * degree / seconds,
        p50_s=float(np.quantile(rounds_s, 0.5)),
        p99_s=float(np.quantile(rounds_s, 0.99)),
        worst_s=float(rounds_s.max()),
        cores=(float(np.median(cores)), max(cores)),
        memory_bytes=(float(np.median(memory)), float(max(memory))),
        lost=sum(work.rounds - one.marks[-1].round for one in played),
        mean_error=float(abs(mean - wanted).max()),
    )


def _text(found: Figures) -> str:
    return (
        f"{found.nodes} nodes, {found.graph}, {found.values} values, {found.rounds} rounds in {found.seconds:.0f} s: "
        f"{found.exchanges_per_s:.0f} exchanges a second; a round p50 {found.p50_s * 1e3:.0f} ms, "
        f"p99 {found.p99_s * 1e3:.0f} ms, worst {found.worst_s * 1e3:.0f} ms\n"
        f"a node: {found.cores[0]:.3f} cores (at most {found.cores[1]:.3f}), {found.memory_bytes[0] / 1e6:.0f} MB "
        f"(at most {found.memory_bytes[1] / 1e6:.0f}); rounds lost {found.lost}, mean off by {found.mean_error:.1e}"
    )


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=600)
    parser.add_argument("--values", type=int, default=4608)
    parser.add_argument("--graph", choices=tuple(NEIGHBORS), default="ring")
    parser.add_argument("--json", action="store_true", help="figures as one JSON object")
    chosen = parser.parse_args()
    found = measure(chosen.nodes, Work("sync", chosen.values, chosen.rounds, 1, graph=chosen.graph))
    print(json.dumps(asdict(found)) if chosen.json else _text(found))


if __name__ == "__main__":
    main()
