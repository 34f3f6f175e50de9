"""What the centralized baseline costs, and gossip beside it.

    OMP_NUM_THREADS=1 .venv/bin/python -m scripts.bench.baseline [--part simulation inprocess wire bytes] [--repeats 5]

simulation  rounds a second of `gossipfl simulate --engine batched` against Flower's simulation (Ray): 20 clients, tiny
            Llama with LoRA, 5 local steps of 4 x 32 tokens, after the first round
inprocess   CPU-seconds of `fedavg --mode inprocess` against the same learners in a loop with a mean
wire        seconds a round over gRPC, without training: 4 nodes of gossip (bare: protocol and transport) against
            Flower's start_server and start_client, 1.84 MB
bytes       over loopback a round and client: Flower's deployment (rounds after the first two) against four gossip nodes
            on a ring, both with TLS, an MLP of 1.05 MB; right only where nobody else uses the interface: begin the
            command with `unshare -rn sh -c 'ip link set lo up && exec "$@"' --`

Ratios are of two runs next to each other.
"""

import argparse
import statistics
from collections.abc import Callable

from scripts.bench.baseline_wire import flower_round_s
from scripts.bench.baseline_work import MLP_CLIENTS, MLP_VALUES, deployment_bytes, fresh
from scripts.bench.exchange import NEIGHBORS, measure
from scripts.bench.exchange_work import Work
from scripts.bench.simulate import median

VALUES = 460_000
BLOCK, BLOCKS = 10, 4


def measure_simulation(repeats: int, rounds: int) -> None:
    """Ratio of rounds a second."""
    turns = [(fresh("gossip", rounds).seconds, fresh("simulation", rounds).seconds) for _ in range(repeats)]
    print(f"simulate batched: {median([1 / ours for ours, _ in turns])} rounds/s")
    print(f"Flower's simulation: {median([1 / theirs for _, theirs in turns])} rounds/s")
    print(f"ratio: {median([theirs / ours for ours, theirs in turns])} times", flush=True)


def measure_inprocess(repeats: int, rounds: int) -> None:
    """Ratio of CPU time."""
    turns = [(fresh("bare", rounds).cpu_s, fresh("inprocess", rounds).cpu_s) for _ in range(repeats)]
    print(f"bare loop: {median([bare for bare, _ in turns])} CPU-s a round")
    print(f"inprocess: {median([flower for _, flower in turns])} CPU-s a round")
    print(f"ratio: {median([flower / bare for bare, flower in turns])} times", flush=True)


def measure_wire(repeats: int, rounds: int) -> None:
    """Seconds a round."""
    del rounds
    turns = []
    for _ in range(repeats):
        theirs = statistics.median(flower_round_s(VALUES, BLOCK * BLOCKS))
        work = Work("sync", VALUES, BLOCK * (BLOCKS + 1), BLOCK)
        turns.append((theirs, *(measure("bare", work, tls=tls).seconds[0] for tls in (False, True))))
    print(f"Flower's start_server: {median([turn[0] for turn in turns])} s a round")
    for place, name in ((1, "plain"), (2, "mutual TLS")):
        print(f"gossip, {name}: {median([turn[place] for turn in turns])} s a round, ", end="")
        print(f"{median([turn[place] / turn[0] for turn in turns])} times Flower's", flush=True)


def measure_bytes(repeats: int, rounds: int) -> None:
    """Bytes a round and client, beside the states that are sent and received in it."""
    few, state = 2, MLP_VALUES * 4
    for _ in range(repeats):
        theirs = (deployment_bytes(few + rounds) - deployment_bytes(few)) / rounds / MLP_CLIENTS
        ours = measure("bare", Work("sync", MLP_VALUES, BLOCK * (BLOCKS + 1), BLOCK), tls=True).interface
        for name, states, sent in (
            ("Flower's deployment, down and up", 2, theirs),
            ("gossip, to two neighbors", NEIGHBORS, ours * NEIGHBORS * state),
        ):
            print(f"{name}: {sent:,.0f} bytes, {sent / (states * state):.4f} times the states", flush=True)


def main() -> None:
    """Prints the figures of the chosen parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts: dict[str, Callable[[int, int], None]] = {
        "simulation": measure_simulation,
        "inprocess": measure_inprocess,
        "wire": measure_wire,
        "bytes": measure_bytes,
    }
    parser.add_argument("--part", nargs="*", choices=tuple(parts), default=list(parts))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=20)
    chosen = parser.parse_args()
    for part in chosen.part:
        parts[part](chosen.repeats, chosen.rounds)


if __name__ == "__main__":
    main()
