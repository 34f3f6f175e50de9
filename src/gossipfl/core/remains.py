"""What of a node's present state came straight from each neighbor: what stays of one that leaves.

r_j ← w_ii · r_j + w_ij        at each of the node's mixings; of its own part of the state: w_ii · r_i + 0

A neighbor's state held parts of others', too, and others hold parts of its: this is the direct share, no bound on its
influence. Nothing is taken out again when a node leaves: nobody unlearns.
"""

from gossipfl.core.events import Report

_NOTHING = 1e-6


class Remains:
    """Of one node; begins with its life."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._shares: dict[str, float] = {}

    def note(self, report: Report) -> None:
        """A mixing of this node's."""
        kept = report.weights[self._name]
        before = {name: share * kept for name, share in self._shares.items()}
        for name, weight in report.weights.items():
            if name != self._name:
                before[name] = before.get(name, 0.0) + weight
        self._shares = {name: share for name, share in before.items() if share > _NOTHING}

    def of(self, name: str) -> float:
        """Part of the state, from 0 to 1."""
        return self._shares.get(name, 0.0)
