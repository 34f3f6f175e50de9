"""The files of a few whole nodes: MiniLM with LoRA of a chosen size, a handful of made-up texts, trial certificates."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from gossipfl.config.experiment import AdapterConfig, DataConfig, Experiment, ModelConfig, TaskConfig
from gossipfl.config.gossip import GossipConfig
from gossipfl.config.loading import dump_experiment
from gossipfl.config.privacy import PrivacyConfig
from gossipfl.config.training import TrainingConfig
from gossipfl.core.rng import generator
from gossipfl.net.certificates import make_trial_certificates
from gossipfl.studies.demo_config import MODEL
from gossipfl.studies.demo_files import HOST, free_ports

LABELS = ("business", "entertainment", "politics", "sports", "tech")
WORDS = ("market", "film", "vote", "goal", "chip", "the", "of", "and", "a", "to")
RANKS = {460_000: 33, 4_600_000: 333}
"""LoRA rank for about so many values: 13,824 a rank in the 6 layers of MiniLM, and a head of 1,925."""
CORES = 4_608
"""Values of cores of rank 16 at the same places, without the head."""
RECORDS = 200


def node_names(count: int) -> tuple[str, ...]:
    """Of the nodes of a bench, in the ring's order."""
    return tuple(f"n{place}" for place in range(count))


def experiment(values: int, *, gossip: GossipConfig, privacy: PrivacyConfig, micro_batch: int = 8) -> Experiment:
    """One phase of one step of about `values` trained values."""
    targets = ("query", "key", "value")
    if values == CORES:
        adapter = AdapterConfig(kind="core", rank=16, targets=targets, train_head=False)
    else:
        adapter = AdapterConfig(kind="lora", rank=RANKS[values], alpha=RANKS[values], targets=targets)
    return Experiment(
        model=ModelConfig(source=MODEL),
        task=TaskConfig(kind="sequence-classification", labels=LABELS, max_length=48),
        adapter=adapter,
        data=DataConfig(held_out=0.0),
        training=TrainingConfig(
            phases=1, local_steps=2, batch_size=32, micro_batch=micro_batch, threads=1, device="cpu", evaluate_every=0
        ),
        privacy=privacy,
        gossip=gossip,
    )


def write_nodes(folder: Path, content: Experiment, names: Sequence[str]) -> Path:
    """Writes experiment, data and certificates; the path of peers.yaml."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "experiment.yaml").write_text(dump_experiment(content))
    addresses = {name: f"{HOST}:{port}" for name, port in zip(names, free_ports(len(names)), strict=True)}
    make_trial_certificates(folder / "certs", addresses)
    nodes = [_node(folder, name, address) for name, address in addresses.items()]
    peers = {"experiment": "experiment.yaml", "authority": "certs/authority.pem", "nodes": nodes}
    path = folder / "peers.yaml"
    path.write_text(yaml.safe_dump(peers, sort_keys=False))
    return path


def _node(folder: Path, name: str, address: str) -> Mapping[str, Any]:
    rng = generator(0, purpose=f"bench {name}")
    texts = [" ".join(rng.choice(WORDS, 40)) for _ in range(RECORDS)]
    lines = [json.dumps({"text": text, "label": LABELS[row % 5]}) for row, text in enumerate(texts)]
    (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    return {
        "name": name,
        "address": address,
        "certificate": f"certs/{name}.pem",
        "key": f"certs/{name}.key",
        "data": f"{name}.jsonl",
    }
