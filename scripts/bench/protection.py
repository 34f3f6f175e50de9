"""What it costs that nobody reads a node's contribution.

    .venv/bin/python -m scripts.bench.protection [--values 4608 460000 4600000] [--blocks 7]

masks: CPU-milliseconds, one thread, of a node-round with 8 neighbors: the masks of 8 shares, 7 streams each; and with
everything else: fixed point, 8 shares in, the mean.
nodes: a complete graph of 4 whole nodes (`gossipfl node`, processes on loopback, mTLS, publication log) that mix random
states without training: CPU-seconds and seconds of a node-round, bytes sent beside plain. See `exchange`.
Homomorphic at 4,608 values only, cores of rank 16 in MiniLM: it is made for no more.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from scripts.bench.exchange import NAMES, blocks_of, spread_of
from scripts.bench.exchange_work import Played, Work, start_vector
from scripts.bench.folders import CORES, experiment, write_nodes
from scripts.bench.processes import play_together
from scripts.bench.simulate import median
from scripts.bench.whole_node import play_node

from gossipfl.config.privacy import PrivacyConfig
from gossipfl.config.protection import ProtectionConfig
from gossipfl.config.topology import TopologyConfig
from gossipfl.core.fixed_point import FixedPoint, Words
from gossipfl.protection.masks import mask, stream_keys
from gossipfl.protection.pair_keys import KeyPair

SENDERS = 8
RING = FixedPoint(32, 22, 16.0)


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--values", type=int, nargs="*", default=[4_608, 460_000, 4_600_000])
    parser.add_argument("--block", type=int, default=10, help="rounds a block")
    parser.add_argument("--blocks", type=int, default=7, help="measured blocks; one more warms up")
    chosen = parser.parse_args()
    for values in chosen.values:
        masks(values)
    for values in chosen.values:
        plain: float | None = None
        for kind in ("plain", "masked", "homomorphic") if values == CORES else ("plain", "masked"):
            work = Work("sync", values, (chosen.blocks + 1) * chosen.block, chosen.block, "complete", kind)
            sent = nodes(work, plain)
            plain = plain or sent


def masks(values: int, repeats: int = 9) -> None:
    """Prints a line."""
    rng = np.random.default_rng(0)
    own, *others = [KeyPair.of(rng.bytes(32)) for _ in range(SENDERS)]
    secrets = {f"n{place}": own.agree(other.public) for place, other in enumerate(others)}
    state = rng.standard_normal(values, np.float32)

    words = RING.encode(state, 1 / (SENDERS + 1))
    if words is None:
        raise RuntimeError("a value is beyond the bound")

    def masks_only() -> None:
        for receiver in range(SENDERS):
            mask(words, stream_keys("me", f"v{receiver}", 0, secrets))

    def share(receiver: int) -> Words:
        fresh = RING.encode(state, 1 / (SENDERS + 1))
        if fresh is None:
            raise RuntimeError("a value is beyond the bound")
        mask(fresh, stream_keys("me", f"v{receiver}", 0, secrets))
        return fresh

    def whole_round() -> None:
        # what comes in has the size of what goes out
        shares = [share(receiver) for receiver in range(SENDERS)]
        total = np.zeros_like(shares[0])
        for words in shares:
            total += words
        RING.mean(total, SENDERS / (SENDERS + 1), SENDERS)

    one, whole = ([_cpu_ms(work) for _ in range(repeats)] for work in (masks_only, whole_round))
    print(
        f"masks {values:9,d} values, {SENDERS} neighbors: {median(one)} CPU-ms a node-round, "
        f"{median(whole)} with the rest"
    )


def nodes(work: Work, plain: float | None) -> float:
    """Prints a line; bytes a node-round."""
    with tempfile.TemporaryDirectory() as folder:
        content = experiment(work.values, gossip=work.gossip, privacy=PrivacyConfig(level="none"))
        protection, topology = ProtectionConfig.model_validate(work.protection), TopologyConfig(kind=work.graph)
        content = content.model_copy(update={"protection": protection, "topology": topology})
        peers = write_nodes(Path(folder), content, NAMES)
        played: list[Played] = play_together([partial(play_node, peers, name, work, insecure=False) for name in NAMES])
    cpu, seconds = (spread_of(blocks_of(played, what, work)) for what in ("cpu_s", "at_s"))
    sent = sum(one.counted_bytes for one in played) / len(NAMES) / work.rounds
    finals = np.stack([one.final for one in played])
    wanted = np.mean([start_vector(name, finals.shape[1]) for name in NAMES], axis=0, dtype=np.float64)
    print(
        f"nodes {work.values:9,d} values {work.protection:11s}"
        f"  CPU-s {cpu[0]:.4f} ({cpu[1]:.4f} to {cpu[2]:.4f})"
        f"  s {seconds[0]:.4f} ({seconds[1]:.4f} to {seconds[2]:.4f})"
        f"  {sent:,.0f} bytes{f' = {sent / plain:.4f} of plain' if plain else ''}"
        f"  mean off by {np.abs(finals - wanted).max():.1e}",
        flush=True,
    )
    return sent


def _cpu_ms(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return 1000 * (time.process_time() - started)


if __name__ == "__main__":
    main()
