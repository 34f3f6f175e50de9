"""Attacks what a run has left: every node's last state, or the one state that all hold, by the owner's canaries.

RUN/states/NODE/, RUN/adapter.safetensors ──> RUN/attack.json      the states are thrown away then
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import networkx as nx
import torch

from gossipfl.config.loading import LoadedExperiment
from gossipfl.config.memorization import CanariesConfig
from gossipfl.core.json_text import json_text
from gossipfl.errors import ConfigError
from gossipfl.learning.adapters import Adapted
from gossipfl.learning.bench import load_adapted
from gossipfl.learning.cache import write_atomically
from gossipfl.learning.data import DataSite, load_fleet_records
from gossipfl.learning.device import choose_device
from gossipfl.learning.memorization import Passage, attack, passages_of
from gossipfl.runs.adapter_file import STATES, read_adapter, state_folders

ATTACK = "attack.json"
EVERYBODY = "all"
"""In place of a node's name: a server's state, or that of data pooled."""


def canaries_of(loaded: LoadedExperiment) -> CanariesConfig:
    """Whose canaries are planted, and how many.

    Raises:
        ConfigError: none are, or their owner is no node, or the model writes no text.
    """
    experiment, wished = loaded.experiment, loaded.experiment.data.canaries
    if wished is None:
        raise ConfigError(f"{loaded.path}: data.canaries is missing: an audit of memorization asks for passages of it")
    if experiment.task.kind != "causal-lm":
        raise ConfigError(f"{loaded.path}: task.kind {experiment.task.kind} recites nothing: causal-lm was expected")
    if wished.node not in experiment.simulation.names:
        raise ConfigError(
            f"{loaded.path}: data.canaries.node {wished.node!r} is no node; they are n0 to "
            f"n{experiment.simulation.nodes - 1}"
        )
    return wished


def attack_run(loaded: LoadedExperiment, folder: Path) -> None:
    """Attacks a run that is done, once; see the module.

    Args:
        loaded: the run's experiment.

    Raises:
        UserError: see `passages_of`; or a state is missing.
    """
    if (folder / ATTACK).exists():
        return
    adapted, passages = _ready(loaded)
    distances = _distances(folder, canaries_of(loaded).node)
    found = {
        name: {"distance": distances.get(name), "attempts": _asked(adapted, passages, place)}
        for name, place in (state_folders(folder) or {EVERYBODY: folder}).items()
    }
    _write(folder / ATTACK, found)
    shutil.rmtree(folder / STATES, ignore_errors=True)


def attack_base(loaded: LoadedExperiment, path: Path) -> None:
    """The same of the model before it is trained: what it can say of the canaries anyway."""
    if not path.exists():
        adapted, passages = _ready(loaded)
        _write(path, {EVERYBODY: {"distance": None, "attempts": _asked(adapted, passages, None)}})


def _ready(loaded: LoadedExperiment) -> tuple[Adapted, list[Passage]]:
    experiment, names = loaded.experiment, loaded.experiment.simulation.names
    if experiment.training.threads:
        torch.set_num_threads(experiment.training.threads)
    owner = canaries_of(loaded).node
    sites = [DataSite(name, names, None, loaded.folder, loaded.folder) for name in names]
    records = load_fleet_records(experiment, sites)
    adapted = load_adapted(experiment, sites[0])
    adapted.module.to(choose_device(experiment.training))
    return adapted, passages_of(experiment, records.nodes[owner], adapted)


def _asked(adapted: Adapted, passages: list[Passage], place: Path | None) -> list[dict[str, Any]]:
    adapted.write(adapted.initial if place is None else read_adapter(place, adapted.spec))
    return [asdict(attempt) for attempt in attack(adapted, passages)]


def _distances(folder: Path, owner: str) -> Mapping[str, int]:
    """Links between each node and the owner, in the graph of all rounds; nobody is linked to a server."""
    topology: dict[str, Any] = json.loads((folder / "topology.json").read_text())
    graph: nx.Graph[str] = nx.Graph()
    graph.add_nodes_from(topology["nodes"])
    graph.add_edges_from(topology["edges"])
    lengths: Mapping[str, int] = nx.single_source_shortest_path_length(graph, owner)
    return lengths


def _write(path: Path, nodes: Mapping[str, object]) -> None:
    write_atomically(path, (json_text({"nodes": nodes}) + "\n").encode())
