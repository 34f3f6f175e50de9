"""The study that nodes of a drill run: small, and private as a real one is.

n0 … n3, complete graph, wait_free, DP-SGD on made-up vectors; each node has a peers.yaml and a state directory
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import yaml

from gossipfl.config.experiment import AdapterConfig, DataConfig, Experiment, ModelConfig, TaskConfig
from gossipfl.config.gossip import GossipConfig
from gossipfl.config.privacy import PrivacyConfig
from gossipfl.config.training import TrainingConfig
from gossipfl.core.rng import generator
from gossipfl.studies.arm_files import write_arm
from gossipfl.studies.drill.lines import Lines

INPUTS, RECORDS = 16, 64
LABELS = ("below", "above")
BORDER = 2.0
"""Half a deviation of a record's sum: each half of the nodes learns another one, and they part when they are cut."""
PHASES = 100_000_000
"""More than any drill lasts: nodes train until they are stopped."""


def write_study(folder: Path, names: Sequence[str], lines: Lines, seed: int) -> None:
    """Writes data, certificates, experiment and a peers.yaml for each node, which calls the others by its own lines."""
    peers = write_arm(folder / "arm", _experiment(seed), names=names, topology="complete")
    (folder / "data").mkdir(exist_ok=True)
    for number, name in enumerate(names):
        (folder / "data" / f"{name}.jsonl").write_text(
            _records(seed, number, border=BORDER if 2 * number < len(names) else -BORDER)
        )
        content = yaml.safe_load(peers.read_text())
        for node in content["nodes"]:
            other = node["name"]
            node["address"] = lines.binds[name] if other == name else lines.address(name, other)
        (folder / "arm" / f"peers-{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    shutil.rmtree(folder / "arm" / "state", ignore_errors=True)


def _experiment(seed: int) -> Experiment:
    return Experiment(
        seed=seed,
        model=ModelConfig(source="builtin:mlp", inputs=INPUTS, hidden=(32,)),
        task=TaskConfig(kind="vector-classification", labels=LABELS),
        adapter=AdapterConfig(kind="full"),
        data=DataConfig(held_out=0.0),
        training=TrainingConfig(
            phases=PHASES,
            local_steps=4,
            batch_size=16,
            micro_batch=64,
            learning_rate=0.05,
            threads=1,
            device="cpu",
            evaluate_every=0,
        ),
        # made-up vectors; what matters is that every step is charged, and never less than was charged before
        privacy=PrivacyConfig(level="example", noise_multiplier=1.0, accountant="rdp", public_data=True),
        gossip=GossipConfig(protocol="wait_free", message_timeout_s=10.0),
    )


def _records(seed: int, number: int, *, border: float) -> str:
    draw = generator(seed, purpose=f"drill records {number}")
    vectors = draw.standard_normal((RECORDS, INPUTS)).round(4)
    rows = ({"features": list(row), "label": LABELS[int(row.sum() > border)]} for row in vectors)
    return "".join(json.dumps(row) + "\n" for row in rows)
