"""Everything the demo's nodes need on disk: data, experiment, certificates, one folder an arm.

OUTPUT/data/NAME.jsonl, test.jsonl          BBC news, Dirichlet(0.3) over the nodes; a common test set
OUTPUT/gossip/, OUTPUT/alone/               peers.yaml, experiment.yaml, basis, certificates, state, ledgers
"""

import json
import socket
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import yaml

from gossipfl.config.experiment import Experiment, SplitConfig
from gossipfl.config.loading import dump_experiment
from gossipfl.core.rng import generator
from gossipfl.learning.data.records import Record
from gossipfl.learning.data.split import split_records
from gossipfl.net.certificates import make_trial_certificates
from gossipfl.studies.corpora import load_bbc
from gossipfl.studies.demo_config import (
    DIRICHLET_ALPHA,
    MIN_RECORDS,
    NODES,
    TEST_RECORDS,
    demo_experiment,
)
from gossipfl.studies.initialize import write_basis

HOST = "127.0.0.1"


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


def write_demo(output: Path, *, private: bool, seed: int, rates: Mapping[str, float]) -> DemoFiles:
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
        arm: demo_experiment(private=private, seed=seed, learning_rate=rate, test=test_file)
        for arm, rate in rates.items()
    }
    peers = {arm: _write_arm(output / arm, experiment) for arm, experiment in experiments.items()}
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


def _write_arm(folder: Path, experiment: Experiment) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "experiment.yaml").write_text(dump_experiment(experiment))
    write_basis(experiment, folder)
    addresses = [f"{HOST}:{port}" for port in free_ports(len(NODES))]
    make_trial_certificates(folder / "certs", dict(zip(NODES, addresses, strict=True)))
    path = folder / "peers.yaml"
    nodes = [_node(name, address) for name, address in zip(NODES, addresses, strict=True)]
    content = {
        "experiment": "experiment.yaml",
        "authority": "certs/authority.pem",
        "topology": {"kind": "ring"},
        "nodes": nodes,
    }
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def _node(name: str, address: str) -> dict[str, str]:
    return {
        "name": name,
        "address": address,
        "certificate": f"certs/{name}.pem",
        "key": f"certs/{name}.key",
        "data": f"../data/{name}.jsonl",
        # public data: each arm keeps an account of its own, as if the other had not happened
        "ledger": f"ledgers/{name}.sqlite",
    }


def free_ports(count: int) -> list[int]:
    """Ports of this host that nobody listens on at the moment."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]
