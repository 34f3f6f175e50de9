"""`membership: dynamic`: what goes with nodes that come and go, and what does not, with the reason."""

from gossipfl.config.experiment import Experiment
from gossipfl.errors import ConfigError

ANY_NUMBER = ("ring", "path", "star", "complete", "erdos_renyi", "barabasi_albert", "random_regular")
"""Graphs that exist on any two nodes or more."""
_PROTOCOLS = {
    "sync": "its nodes number their rounds together, and nobody says in which round all are to change the graph",
    "noloco": "its nodes number their rounds together, and nobody says in which round all are to change the graph",
    "push_sum": "what a node that is gone holds of the network's sum, and what is on its way to it, would be gone too",
    "pairwise": "it keeps books of each edge for both its ends, and who is gone keeps none",
    "alone": "its nodes meet nobody",
}


def check_dynamic(experiment: Experiment, *, source: str) -> None:
    """Returns if the experiment goes with `membership: dynamic`.

    Args:
        source: what the error names.

    Raises:
        ConfigError: the field that does not, and why.
    """
    gossip, topology, adapter = experiment.gossip, experiment.topology, experiment.adapter
    kinds = f"one of {', '.join(ANY_NUMBER)}"
    wanted: tuple[tuple[str, object, bool, object, str], ...] = (
        ("gossip.protocol", gossip.protocol, gossip.protocol == "wait_free", "wait_free", _reason(gossip.protocol)),
        ("topology.schedule", topology.schedule, topology.schedule == "static", "static",
         "a schedule of rounds is made for one number of nodes, and exact for no other"),
        ("topology.kind", topology.kind, topology.kind in ANY_NUMBER, kinds, "it must exist for any number of nodes"),
        ("topology.weights", topology.weights, topology.weights in {"auto", "metropolis"}, "auto",
         "others are not doubly stochastic on every graph, or not equal to the last digit on every machine"),
        ("topology.degree", topology.degree, topology.degree is None, "none", "few nodes may be up at a time"),
        ("topology.probability", topology.probability, topology.probability is None, "none",
         "few nodes may be up at a time, and their graph has to be connected"),
        ("gossip.mixing", gossip.mixing, gossip.mixing == "weighted", "weighted",
         "a newcomer begins at the mean of its neighbors, whoever they are"),
        ("protection.kind", experiment.protection.kind, experiment.protection.kind == "plain", "plain",
         "sums over a set of senders that changes subtract to the states of single ones"),
        ("privacy.level", experiment.privacy.level, experiment.privacy.level != "correlated", "another",
         "noise shared with a node that is gone stays behind"),
        ("adapter.merge", adapter.merge, adapter.merge == "factors", "factors",
         "a newcomer lacks what the others have folded into their base model"),
        ("adapter.kind", adapter.kind, adapter.kind != "alternating", "another",
         "nodes that came at different times train different factors"),
        ("adapter.mixed_ranks", adapter.mixed_ranks, not adapter.mixed_ranks, False,
         "the ranks of those who come later are nowhere written down"),
    )  # fmt: skip
    for field, value, fits, expected, reason in wanted:
        if not fits:
            raise ConfigError(f"{source}: {field} {value}: membership dynamic needs {expected}: {reason}")


def _reason(protocol: str) -> str:
    return _PROTOCOLS.get(protocol, "a protocol of your own is not known to bear a graph that changes")
