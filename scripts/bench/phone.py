"""A phone among two other real nodes: its memory over the base model's, and whether it takes part.

    .venv/bin/python -m scripts.bench.phone [--seconds 2] [--json]

MiniLM with LoRA of 460,000 values, DP-SGD at all three. The phone has one thread, batches of four records one by one,
so many seconds a phase, and rests nine times as long as it trains; the others have two threads and do ten steps a
phase. over_base and over_used_base: see `scripts.bench.memory`; the phone is to stay within 512 MB of the former.
"""

import argparse
import asyncio
import json
import os
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import yaml
from scripts.bench.folders import experiment, node_names, write_nodes
from scripts.bench.memory import play_base
from scripts.bench.meters import forget_peak, resident_bytes
from scripts.bench.processes import play_together

from gossipfl.config.gossip import GossipConfig
from gossipfl.config.privacy import PrivacyConfig
from gossipfl.node.assembly import NodeRequest, assemble
from gossipfl.node.freed_memory import return_freed_memory
from gossipfl.node.runtime import Node

ALLOWED = 512_000_000
SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Played:
    """What a node came to.

    Attributes:
        peak: largest resident size while it ran, in bytes.
        wall_s, train_s: from its first event to its last, and of that in training.
        rejected: messages that it dropped.
    """

    peak: int
    steps: int
    wall_s: float
    train_s: float
    rejected: int


def play(peers: Path, name: str) -> Played:
    """A whole node."""
    with ExitStack() as stack:
        parts = assemble(NodeRequest(peers, name), lambda _: None, stack)
        return_freed_memory()
        forget_peak()

        async def run() -> float:
            began = asyncio.get_running_loop().time()
            await Node(parts).run()
            return asyncio.get_running_loop().time() - began

        wall_s = asyncio.run(run())
        record = parts.record
        peak = resident_bytes(peak=True)
        return Played(peak, record.step, wall_s, record.train_s, sum(record.rejected.values()))


def measure(seconds: float) -> dict[str, object]:
    """Runs the base alone, then the three."""
    content = experiment(
        460_000,
        gossip=GossipConfig(protocol="wait_free", settle_rounds=3, linger_s=120.0),
        privacy=PrivacyConfig(level="example", noise_multiplier=1.0, target_delta=1e-3, public_data=True),
    )
    training = content.training.model_copy(update={"phases": 3, "local_steps": 10, "threads": 2})
    content = content.model_copy(update={"training": training})
    phone, *others = node_names(3)
    machine = {"threads": 1, "batch_size": 4, "micro_batch": 1, "local_seconds": seconds, "train_share": SHARE}
    with tempfile.TemporaryDirectory() as folder:
        peers = write_nodes(Path(folder), content, [phone, *others])
        written = yaml.safe_load(peers.read_text())
        written["nodes"][0]["machine"] = machine
        peers.write_text(yaml.safe_dump(written, sort_keys=False))
        small = content.model_copy(update={"training": training.model_copy(update={"micro_batch": 1})})
        ((base, used),) = play_together([partial(play_base, peers, small)])
        played = play_together([partial(play, peers, name) for name in (phone, *others)])
    over_base, over_used_base = played[0].peak - base, played[0].peak - used
    return {
        "over_base": over_base,
        "over_used_base": over_used_base,
        "allowed": ALLOWED,
        "within": over_base <= ALLOWED,
        "base": base,
        "trained_share": played[0].train_s / played[0].wall_s,
        "phone": asdict(played[0]),
        "others": [asdict(each) for each in played[1:]],
    }


def main() -> None:
    """Prints one block."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="of a phase of the phone")
    parser.add_argument("--json", action="store_true", help="figures as one JSON object")
    chosen = parser.parse_args()
    figures = measure(chosen.seconds)
    if chosen.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        shown = f"{value / 1e6:.1f} MB" if isinstance(value, int) and not isinstance(value, bool) else value
        print(f"{name:15s} {shown}")


if __name__ == "__main__":
    main()
