"""All nodes at one moment, as they and their neighbors tell it: what `status`, its `--watch` and the dashboard show.

up        answers, and every link it should have is there
partly    answers, but a link is missing
linked    does not answer us, but a neighbor that does has a link to it: it only dials out, or its port is closed to us
ended     does not answer any more; when it last did, it had done all its steps and was not to serve for ever
down      does not answer, and nobody that does has a link to it
unknown   has no address to be asked at, and none of its neighbors answers
"""

import functools
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from gossipfl.net.reports import EdgeReport, RejectionReport
from gossipfl.node.node_status import NodeStatus

Health = Literal["up", "partly", "linked", "ended", "down", "unknown"]
Link = tuple[str, str]
"""Two neighbors, in alphabetical order."""


@dataclass(frozen=True, slots=True)
class EdgeView:
    """Two neighbors and what is between them.

    Attributes:
        up: one end that answers has a link to the other; None when neither answers.
        bytes: sent from the first to the second and back, as known; None: neither end has told.
        staleness: the larger one, in mixings of the end that waits.
        distance: between their last published states.
    """

    ends: Link
    up: bool | None
    bytes: tuple[int | None, int | None]
    staleness: int | None
    distance: float | None

    def as_json(self) -> dict[str, Any]:
        """A row."""
        return {
            "ends": list(self.ends),
            "up": self.up,
            "bytes": list(self.bytes),
            "staleness": self.staleness,
            "distance": self.distance,
        }


@dataclass(frozen=True, slots=True)
class NetworkView:
    """All nodes, in the order of peers.yaml, and all edges."""

    nodes: tuple[NodeStatus, ...]
    edges: tuple[EdgeView, ...]

    def as_json(self) -> dict[str, Any]:
        """What `gossipfl status --json` prints; keys of commands.md and more."""
        return {
            "nodes": [node.as_json() | {"health": self.health(node)} for node in self.nodes],
            "edges": [edge.as_json() for edge in self.edges],
            "last_rejected": [
                {"node": name, "peer": row.peer or None, "reason": row.reason, "times": row.times, "ago_s": row.ago_s}
                for name, row in self.rejections()
            ],
            "consensus_distance": self.consensus_distance(),
        }

    def health(self, node: NodeStatus) -> Health:
        """See the table above."""
        if node.answer is not None:
            return "up" if node.answer.neighbors_up >= node.answer.neighbors else "partly"
        around = [edge.up for edge in self.edges if node.name in edge.ends]
        if any(around):
            return "linked"
        if _has_ended(node):
            return "ended"
        return "unknown" if not node.has_address and all(up is None for up in around) else "down"

    def rejections(self) -> list[tuple[str, RejectionReport]]:
        """What nodes turned away last, the newest first, each with the node that did."""
        told = [(node.name, row) for node in self.nodes if node.answer is not None for row in node.details.rejections]
        return sorted(told, key=lambda pair: pair[1].ago_s)

    def consensus_distance(self) -> tuple[float, float] | None:
        """Between what and what √(Σ ‖x_i − x̄‖² / n) lies, by the distances along edges and the graph they make.

        λ₂ Σ ‖x_i − x̄‖² ≤ Σ_edges d² ≤ λ_n Σ ‖x_i − x̄‖², of the Laplacian; the two are equal on a complete graph.
        None unless the edges with a distance join all nodes.
        """
        known = {edge.ends: edge.distance for edge in self.edges if edge.distance is not None}
        names = tuple(node.name for node in self.nodes)
        bounds = _spectrum(names, tuple(known))
        if bounds is None:
            return None
        apart = sum(distance**2 for distance in known.values()) / len(names)
        return math.sqrt(apart / bounds[1]), math.sqrt(apart / bounds[0])


def _has_ended(node: NodeStatus) -> bool:
    planned = node.details.steps_planned
    return node.before is not None and 0 < planned <= node.before.step and node.before.state != "serving"


def view_of(nodes: Sequence[NodeStatus], links: Collection[Link]) -> NetworkView:
    """The view, by the links that should be and those that nodes tell of besides."""
    told = {node.name: node.details.edges for node in nodes}
    live = {node.name for node in nodes if node.answer is not None}
    named = {_link(name, other) for name, edges in told.items() for other in edges if other in told}
    ends = sorted({*named, *(_link(*link) for link in links)})
    return NetworkView(tuple(nodes), tuple(_edge(link, told, live) for link in ends))


def _link(one: str, other: str) -> Link:
    return (one, other) if one <= other else (other, one)


def _edge(link: Link, told: Mapping[str, Mapping[str, EdgeReport]], live: Collection[str]) -> EdgeView:
    first, second = link
    at_first, at_second = told[first].get(second), told[second].get(first)
    fresh = [said for name, said in ((first, at_first), (second, at_second)) if said is not None and name in live]
    said = [each for each in (at_first, at_second) if each is not None]
    distances = [each.distance for each in said if each.distance is not None]
    return EdgeView(
        ends=link,
        up=any(each.up for each in fresh) if fresh else None,
        bytes=(_bytes(at_first, at_second), _bytes(at_second, at_first)),
        staleness=max((each.staleness for each in said if each.staleness is not None), default=None),
        distance=math.fsum(distances) / len(distances) if distances else None,
    )


def _bytes(sender: EdgeReport | None, receiver: EdgeReport | None) -> int | None:
    """What went one way, as the sender counts it; by the receiver where the sender does not tell."""
    if sender is not None:
        return sender.bytes_sent
    return receiver.bytes_received if receiver is not None else None


@functools.lru_cache(maxsize=16)
def _spectrum(names: tuple[str, ...], links: tuple[Link, ...]) -> tuple[float, float] | None:
    """Second smallest and largest eigenvalue of the Laplacian; None of a graph in parts."""
    if len(names) < 2:
        return None
    place = {name: number for number, name in enumerate(names)}
    laplacian = np.zeros((len(names), len(names)))
    for one, other in links:
        i, j = place[one], place[other]
        laplacian[[i, j], [i, j]] += 1
        laplacian[[i, j], [j, i]] -= 1
    values = np.linalg.eigvalsh(laplacian)
    return (float(values[1]), float(values[-1])) if values[1] > 1e-9 * len(names) else None
