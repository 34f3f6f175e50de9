"""Decentralized peer-to-peer federated fine-tuning without a server.

    loaded = gossipfl.load_peers(Path("peers.yaml"))
    record = gossipfl.run_node(gossipfl.NodeRequest(Path("peers.yaml"), name="clinic"), report=print)

    experiment = gossipfl.load_simulation(Path("experiments/quickstart.yaml"))
    result = gossipfl.simulate(experiment, Path("runs/first"))

    arms = gossipfl.load_experiment(Path("experiments/quick-compare.yaml"))
    comparison = gossipfl.compare(arms, Path("runs/arms"))

What stands in `__all__` is the public interface; it is imported when it is first used: `import gossipfl` is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gossipfl.config.experiment import Experiment
    from gossipfl.config.loading import load_experiment, load_peers, load_simulation
    from gossipfl.config.peers import Peers
    from gossipfl.errors import GossipflError, UserError
    from gossipfl.node.assembly import NodeRequest, run_node
    from gossipfl.node.record import NodeRecord
    from gossipfl.node.runtime import Node
    from gossipfl.sim.simulate import simulate
    from gossipfl.state import AdapterState
    from gossipfl.studies.compare import compare

_HOMES = {
    "AdapterState": "gossipfl.state",
    "Experiment": "gossipfl.config.experiment",
    "GossipflError": "gossipfl.errors",
    "Node": "gossipfl.node.runtime",
    "NodeRecord": "gossipfl.node.record",
    "NodeRequest": "gossipfl.node.assembly",
    "Peers": "gossipfl.config.peers",
    "UserError": "gossipfl.errors",
    "compare": "gossipfl.studies.compare",
    "load_experiment": "gossipfl.config.loading",
    "load_peers": "gossipfl.config.loading",
    "load_simulation": "gossipfl.config.loading",
    "run_node": "gossipfl.node.assembly",
    "simulate": "gossipfl.sim.simulate",
}

__all__ = [
    "AdapterState",
    "Experiment",
    "GossipflError",
    "Node",
    "NodeRecord",
    "NodeRequest",
    "Peers",
    "UserError",
    "compare",
    "load_experiment",
    "load_peers",
    "load_simulation",
    "run_node",
    "simulate",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401  # whatever the name stands for
    if name not in _HOMES:
        raise AttributeError(f"module 'gossipfl' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
