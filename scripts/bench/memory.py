"""A node's memory over the base model's: a ring of 3 real nodes, degree 2, one phase of DP-SGD on MiniLM with LoRA.

    .venv/bin/python -m scripts.bench.memory [--micro-batch 8] [--json]

over_base = largest resident size from the first to the last event of the node − resident size of a process that has
loaded the same libraries and the base model; its weights are mapped from the file and mostly not resident yet.
over_used_base subtracts a base that has run the same micro-batch forward and backward once, without an adapter: all
weights, and activations. The bound is 8 + degree adapters for everything a node keeps, and micro_batch × trainable × 4
bytes for unit gradients.
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

from scripts.bench.folders import experiment, node_names, write_nodes
from scripts.bench.meters import forget_peak, resident_bytes
from scripts.bench.processes import play_together

from gossipfl.config.experiment import Experiment
from gossipfl.config.gossip import GossipConfig
from gossipfl.config.loading import load_peers
from gossipfl.config.privacy import PrivacyConfig
from gossipfl.config.this_node import resolve_self
from gossipfl.learning.bench import load_adapted
from gossipfl.learning.models import load_base
from gossipfl.node.assembly import NodeRequest, assemble, site_of
from gossipfl.node.freed_memory import return_freed_memory
from gossipfl.node.runtime import Node

DEGREE = 2
ADAPTERS = 8


@dataclass(frozen=True, slots=True)
class Figures:
    """Bytes; `adapters` says the same as a multiple of one adapter, unit gradients subtracted."""

    trainable: int
    micro_batch: int
    base: int
    used_base: int
    after_start: int
    peak: int
    over_base: int
    over_used_base: int
    bound: int
    adapters: float
    adapters_over_used: float


def play_base(peers: Path, content: Experiment) -> tuple[int, int]:
    """Resident size with the base model loaded, and after one micro-batch forward and backward."""
    import torch  # noqa: PLC0415  # only this process uses it

    torch.set_num_threads(1)
    base = load_base(content.model, content.task, folder=peers.parent, seed=0).module
    loaded = resident_bytes()
    for name, parameter in base.named_parameters():
        # the lowest small one: the backward pass goes through every layer, and leaves no gradient of size
        parameter.requires_grad_(name.endswith("embeddings.LayerNorm.weight"))
    tokens = torch.ones(content.training.micro_batch, content.task.max_length, dtype=torch.long)
    base(input_ids=tokens, labels=tokens[:, 0]).loss.backward()
    return loaded, resident_bytes(peak=True)


def play_node(peers: Path, name: str) -> tuple[int, int]:
    """Resident size after start-up, and the largest one while the node ran."""
    with ExitStack() as stack:
        parts = assemble(NodeRequest(peers, name), lambda _: None, stack)
        return_freed_memory()
        started = resident_bytes()
        forget_peak()
        asyncio.run(Node(parts).run())
        return started, resident_bytes(peak=True)


def measure(micro_batch: int) -> Figures:
    """Runs the base alone, then the ring."""
    content = experiment(
        4_600_000,
        gossip=GossipConfig(settle_rounds=3, linger_s=60.0),
        privacy=PrivacyConfig(level="example", noise_multiplier=1.0, target_delta=1e-3, public_data=True),
        micro_batch=micro_batch,
    )
    names = node_names(DEGREE + 1)
    with tempfile.TemporaryDirectory() as folder:
        peers = write_nodes(Path(folder), content, names)
        loaded = load_peers(peers, ())
        size = load_adapted(content, site_of(loaded, resolve_self(loaded.peers, names[0], {}))).spec.size
        ((base, used),) = play_together([partial(play_base, peers, content)])
        nodes = play_together([partial(play_node, peers, name) for name in names])
    started, peak = max(nodes, key=lambda one: one[1])
    unit_gradients = micro_batch * size * 4
    return Figures(
        trainable=size,
        micro_batch=micro_batch,
        base=base,
        used_base=used,
        after_start=started,
        peak=peak,
        over_base=peak - base,
        over_used_base=peak - used,
        bound=(ADAPTERS + DEGREE) * size * 4 + unit_gradients,
        adapters=(peak - base - unit_gradients) / (size * 4),
        adapters_over_used=(peak - used - unit_gradients) / (size * 4),
    )


def main() -> None:
    """Prints one block."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--micro-batch", type=int, default=8)
    parser.add_argument("--json", action="store_true", help="figures as one JSON object")
    chosen = parser.parse_args()
    figures = measure(chosen.micro_batch)
    if chosen.json:
        print(json.dumps(asdict(figures)))
        return
    for name, value in asdict(figures).items():
        print(f"{name:20s} {value:10.1f}" if isinstance(value, float) else f"{name:20s} {value / 1e6:10.2f} M")


if __name__ == "__main__":
    main()
