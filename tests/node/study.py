"""A whole experiment on disk, as small as it can be, and its nodes as real processes."""

import json
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from gossipfl.net.certificates import make_trial_certificates
from gossipfl.node.checkpoint import Saved, load_latest
from gossipfl.studies.demo_files import free_ports
from gossipfl.studies.fleet import Fleet, Job, node_job

WORDS = ("<pad>", "</s>", "<unk>", *(f"w{number}" for number in range(61)))
LABELS = ("red", "green")
WAIT_S = 240.0
"""Far more than anything here takes, beside two other fleets too: a deadline only for what hangs."""
_POLL_S = 0.03

EXPERIMENT: Mapping[str, Mapping[str, Any]] = {
    "task": {"kind": "sequence-classification", "labels": list(LABELS), "max_length": 8},
    "adapter": {"kind": "core", "rank": 4},
    "data": {"held_out": 0.2},
    "training": {
        "phases": 4,
        "local_steps": 2,
        "batch_size": 8,
        "micro_batch": 64,
        "learning_rate": 0.02,
        "threads": 1,
        "device": "cpu",
    },
    "privacy": {"level": "example", "target_epsilon": 8.0, "accountant": "rdp"},
    "gossip": {"settle_rounds": 8, "deadline_s": 20, "linger_s": 60},
}


def records(seed: int, count: int = 50) -> list[dict[str, str]]:
    """Sentences of six words; red ones have words of the first half, green ones of the second."""
    rng = np.random.default_rng(seed)
    labels = [LABELS[place % 2] for place in range(count)]
    starts = [30 * LABELS.index(label) for label in labels]
    return [
        {"text": " ".join(f"w{word}" for word in start + rng.integers(0, 30, 6)), "label": label}
        for start, label in zip(starts, labels, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class Study:
    """An experiment's folder.

    Attributes:
        folder: of peers.yaml, experiment.yaml, certs, data and state.
        names: of the nodes.
    """

    folder: Path
    names: Sequence[str]

    @property
    def peers(self) -> Path:
        return self.folder / "peers.yaml"

    def state(self, name: str) -> Path:
        """A node's state directory."""
        return self.folder / "state" / name

    def job(self, name: str, *extra: str) -> Job:
        """The node's command, as `Fleet` takes it."""
        return node_job(self.peers, name, log=self.folder / f"{name}.log", extra=extra)

    def rows(self, name: str) -> list[dict[str, Any]]:
        """Complete lines of the node's metrics so far."""
        path = self.state(name) / "metrics.jsonl"
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        return [json.loads(line) for line in lines if line.endswith("}\n")]

    def phase(self, name: str) -> int:
        """Training phases the node has written down."""
        return max((row["phase"] for row in self.rows(name)), default=0)

    def has_published(self, name: str) -> bool:
        """Whether anything of the node may have left it."""
        path = self.state(name) / "publications.jsonl"
        return path.exists() and path.stat().st_size > 0

    def saved(self, name: str) -> Saved:
        """The node's newest checkpoint."""
        found = load_latest(self.state(name))
        assert found is not None
        return found

    def edit(self, file: str, change: Callable[[dict[str, Any]], object]) -> None:
        """Changes a YAML file in place."""
        path = self.folder / file
        content = yaml.load(path.read_text(), yaml.CSafeLoader)
        change(content)
        _write(path, content)


def make_study(
    folder: Path,
    model: Path,
    *,
    names: Sequence[str] = ("ada", "bob", "cid"),
    dials_only: Sequence[str] = (),
    same_data: Sequence[str] = (),
    **sections: Mapping[str, Any],
) -> Study:
    """Writes an experiment.

    Args:
        model: folder of a tiny model.
        dials_only: nodes without an address.
        same_data: nodes that hold equal records, each in its own file.
        sections: fields of experiment.yaml that differ from `EXPERIMENT`, by section.
    """
    (folder / "data").mkdir(parents=True)
    merged = {key: {**EXPERIMENT.get(key, {}), **sections.get(key, {})} for key in {**EXPERIMENT, **sections}}
    _write(folder / "experiment.yaml", {"seed": 0, "model": {"source": str(model)}, **merged})
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    addresses = {name: None if name in dials_only else f"127.0.0.1:{ports[name]}" for name in names}
    make_trial_certificates(folder / "certs", addresses)
    for place, name in enumerate(names):
        lines = [json.dumps(row) for row in records(0 if name in same_data else place + 1)]
        (folder / "data" / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    nodes = [_node(name, addresses[name]) for name in names]
    peers = {"experiment": "experiment.yaml", "authority": "certs/authority.pem", "nodes": nodes}
    _write(folder / "peers.yaml", {**peers, "topology": {"kind": "complete"}})
    return Study(folder, names)


def give_vectors(study: Study, *, own_ledgers: bool = False) -> None:
    """A small MLP in place of the language model, and for every node its part of the experiment's own data.

    Args:
        own_ledgers: each node's lies beside peers.yaml, not where the data does.
    """
    model = {"source": "builtin:mlp", "inputs": 64, "hidden": [16]}
    study.edit("experiment.yaml", lambda content: content.update(model=model))
    study.edit("peers.yaml", lambda content: [node.pop("data") for node in content["nodes"]])
    if own_ledgers:
        study.edit(
            "peers.yaml", lambda content: [node.update(ledger=f"{node['name']}.sqlite") for node in content["nodes"]]
        )


def _node(name: str, address: str | None) -> dict[str, Any]:
    files = {"certificate": f"certs/{name}.pem", "key": f"certs/{name}.key", "data": f"data/{name}.jsonl"}
    return {"name": name, **({"address": address} if address else {}), **files}


def _write(path: Path, content: Mapping[str, Any]) -> None:
    # by libyaml: hundreds of tests write a study
    path.write_text(yaml.dump(dict(content), Dumper=yaml.CSafeDumper, sort_keys=False))


def wait_until(condition: Callable[[], object], fleet: Fleet, *, what: str) -> None:
    """Returns when the condition holds; looks at it again and again.

    Raises:
        AssertionError: it did not come true in time, or a process failed meanwhile.
    """
    deadline = time.monotonic() + WAIT_S
    while not condition():
        failed = {name: process.poll() for name, process in fleet.processes.items() if (process.poll() or 0) > 0}
        assert not failed, f"while waiting until {what}: exit codes {failed}"
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(_POLL_S)


def start_together(study: Study, fleet: Fleet) -> None:
    """Returns when every node has published; the quick ones are held meanwhile, so that nobody runs ahead.

    A node publishes what it has trained before it hears anybody: nobody waits here for one that is held.
    """
    held: set[str] = set()

    def all_have_begun() -> bool:
        for name in study.names:
            if name not in held and study.has_published(name):
                fleet.processes[name].send_signal(signal.SIGSTOP)
                held.add(name)
        return len(held) == len(study.names)

    try:
        wait_until(all_have_begun, fleet, what="every node has published")
    finally:
        for name in held:
            fleet.processes[name].send_signal(signal.SIGCONT)
