"""Attacks what a run has left: every node's last state, or the one state that all hold, by the owner's canaries.

RUN/states/NODE/, RUN/adapter.safetensors ──> RUN/attack.json      the states are thrown away then
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import networkx as nx
import torch

from gossipfl.config.loading import LoadedExperiment
from gossipfl.config.memorization import CanariesConfig
from gossipfl.core.json_text import json_text
from gossipfl.errors import ConfigError, StateError
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


def check_passages(loaded: Sequence[LoadedExperiment]) -> None:
    """Whether there is something to ask for with every seed, before anything is trained.

    Args:
        loaded: of one model, an experiment a seed.

    Raises:
        UserError: see `passages_of`; or model or data cannot be read.
    """
    adapted = _adapted(loaded[0])
    for each in loaded:
        _passages(each, adapted)


def attack_run(loaded: LoadedExperiment, folder: Path) -> None:
    """Attacks a run that is done, once; see the module.

    Args:
        loaded: the run's experiment.

    Raises:
        UserError: see `passages_of`.
        StateError: a node's last state is missing.
    """
    if not (folder / ATTACK).exists():
        topology: dict[str, Any] = json.loads((folder / "topology.json").read_text())
        places, distances = _places(folder, topology), _distances(topology, canaries_of(loaded).node)
        adapted = _adapted(loaded)
        passages = _passages(loaded, adapted)
        found = {
            name: {
                "distance": None if name == EVERYBODY else distances[name],
                "attempts": _asked(adapted, passages, place),
            }
            for name, place in places.items()
        }
        _write(folder / ATTACK, found)
    # those of an attack, too, that was killed here
    shutil.rmtree(folder / STATES, ignore_errors=True)


def attack_base(loaded: LoadedExperiment, path: Path) -> None:
    """The same of the model before it is trained: what it can say of the canaries anyway."""
    if not path.exists():
        adapted = _adapted(loaded)
        attempts = _asked(adapted, _passages(loaded, adapted), None)
        _write(path, {EVERYBODY: {"distance": None, "attempts": attempts}})


def _adapted(loaded: LoadedExperiment) -> Adapted:
    experiment = loaded.experiment
    if experiment.training.threads:
        torch.set_num_threads(experiment.training.threads)
    adapted = load_adapted(experiment, _sites(loaded)[0])
    adapted.module.to(choose_device(experiment.training))
    return adapted


def _passages(loaded: LoadedExperiment, adapted: Adapted) -> list[Passage]:
    records = load_fleet_records(loaded.experiment, _sites(loaded))
    return passages_of(loaded.experiment, records.nodes[canaries_of(loaded).node], adapted)


def _sites(loaded: LoadedExperiment) -> list[DataSite]:
    names = loaded.experiment.simulation.names
    return [DataSite(name, names, None, loaded.folder, loaded.folder) for name in names]


def _asked(adapted: Adapted, passages: list[Passage], place: Path | None) -> list[dict[str, Any]]:
    adapted.write(adapted.initial if place is None else read_adapter(place, adapted.spec))
    return [asdict(attempt) for attempt in attack(adapted, passages)]


def _places(folder: Path, topology: Mapping[str, Any]) -> Mapping[str, Path]:
    """Where every node's last state lies; without links there is one that all hold."""
    if not topology["edges"]:
        return {EVERYBODY: folder}
    places = state_folders(folder)
    # what else lies there is their mean, which nobody holds
    if missing := [name for name in topology["nodes"] if name not in places]:
        raise StateError(f"{folder} has no last states of {', '.join(missing)}: remove it, and it is run again")
    return places


def _distances(topology: Mapping[str, Any], owner: str) -> Mapping[str, int]:
    """Links between each node and the owner, in the graph of all rounds; nobody is linked to a server."""
    graph: nx.Graph[str] = nx.Graph()
    graph.add_nodes_from(topology["nodes"])
    graph.add_edges_from(topology["edges"])
    lengths: Mapping[str, int] = nx.single_source_shortest_path_length(graph, owner)
    return lengths


def _write(path: Path, nodes: Mapping[str, object]) -> None:
    write_atomically(path, (json_text({"nodes": nodes}) + "\n").encode())
