"""Everything the demo's nodes need on disk: data, experiment, certificates, one folder an arm.

OUTPUT/data/NAME.jsonl, test.jsonl          BBC news, Dirichlet(0.3) over the nodes; a common test set
OUTPUT/gossip/, OUTPUT/alone/               peers.yaml, experiment.yaml, basis, certificates, state, ledgers
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gossipfl.config.experiment import SplitConfig
from gossipfl.core.rng import generator
from gossipfl.learning.data.records import Record
from gossipfl.learning.data.split import split_records
from gossipfl.studies.arm_files import write_arm
from gossipfl.studies.corpora import load_bbc
from gossipfl.studies.demo_config import (
    DIRICHLET_ALPHA,
    MIN_RECORDS,
    NODES,
    PHASES,
    TEST_RECORDS,
    demo_experiment,
)
from gossipfl.studies.free_ports import HOST, free_ports

__all__ = ["HOST", "DemoFiles", "deal_bbc", "free_ports", "write_demo"]


@dataclass(frozen=True, slots=True)
class DemoFiles:
    """Where the demo lies.

    Attributes:
        peers: peers.yaml by arm.
        sizes: training records by node and label.
        test_records: size of the common test set.
    """

    peers: Mapping[str, Path]
    sizes: Mapping[str, Counter[str]]
    test_records: int


def write_demo(
    output: Path, *, private: bool, seed: int, rates: Mapping[str, float], phases: int = PHASES
) -> DemoFiles:
    """Writes all files of one demo run.

    Args:
        rates: learning rate by arm.
    """
    parts, test = deal_bbc(seed)
    (output / "data").mkdir(parents=True, exist_ok=True)
    for name, records in {**parts, "test": test}.items():
        lines = "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in records)
        (output / "data" / f"{name}.jsonl").write_text(lines)
    test_file = Path("../data/test.jsonl")
    experiments = {
        arm: demo_experiment(private=private, seed=seed, learning_rate=rate, test=test_file, phases=phases)
        for arm, rate in rates.items()
    }
    peers = {
        arm: write_arm(output / arm, experiment, names=NODES, topology="ring")
        for arm, experiment in experiments.items()
    }
    sizes = {name: Counter(label for _, label in records) for name, records in parts.items()}
    return DemoFiles(peers, sizes, len(test))


def deal_bbc(seed: int) -> tuple[dict[str, list[tuple[str, str]]], list[tuple[str, str]]]:
    """(text, label) pairs of each node, and of the common test set, which no node holds."""
    articles = load_bbc()
    order = generator(seed, purpose="demo").permutation(len(articles))
    pairs = [(articles[place]["text"], articles[place]["label"]) for place in order]
    test, pool = pairs[:TEST_RECORDS], pairs[TEST_RECORDS:]
    config = SplitConfig(kind="dirichlet", dirichlet_alpha=DIRICHLET_ALPHA, min_records=MIN_RECORDS)
    records = [Record(text, group=label) for text, label in pool]
    split = split_records(records, config, names=NODES, seed=seed)
    return {name: [pool[row] for row in split[name]] for name in NODES}, test
