"""Nodes that differ, in rank and machine: the files as each of them has them, and what each sends."""

from dataclasses import replace

from gossipfl.config.loading import LoadedPeers
from gossipfl.config.machines import on_machine
from gossipfl.config.peers import NodeConfig
from gossipfl.config.ranks import at_rank, ranks_of
from gossipfl.core.factors import resized
from gossipfl.state import AdapterSpec


def as_node(loaded: LoadedPeers, node: NodeConfig) -> LoadedPeers:
    """The two files as a node has them: at its own rank, on its own machine.

    Raises:
        ConfigError: it has a rank, and the experiment does not say that it may; or its machine makes no sense.
    """
    ranks = ranks_in(loaded)
    experiment = on_machine(loaded.experiment.experiment, node.machine, field=f"nodes.{node.name}.machine")
    loaded = replace(loaded, experiment=replace(loaded.experiment, experiment=experiment))
    if not experiment.adapter.mixed_ranks:
        return loaded
    # with every rank spelled out: from here on `adapter.rank` is the node's own
    nodes = tuple(one.model_copy(update={"rank": ranks[one.name]}) for one in loaded.peers.nodes)
    own = replace(loaded.experiment, experiment=at_rank(experiment, ranks[node.name]))
    return replace(loaded, experiment=own, peers=loaded.peers.model_copy(update={"nodes": nodes}))


def ranks_in(loaded: LoadedPeers) -> dict[str, int]:
    """The ranks of all nodes of peers.yaml.

    Raises:
        ConfigError: see `ranks_of`.
    """
    return ranks_of(loaded.experiment.experiment, {node.name: node.rank for node in loaded.peers.nodes}, field="nodes")


def specs_of(loaded: LoadedPeers, spec: AdapterSpec) -> dict[str, AdapterSpec]:
    """Layouts of what every node sends, where they differ; empty where all have the own one."""
    if not loaded.experiment.experiment.adapter.mixed_ranks:
        return {}
    return {name: resized(spec, rank) for name, rank in ranks_in(loaded).items()}
