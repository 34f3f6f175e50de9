"""What the page is told: the graph once, then the network and what is new of the nodes' past."""

from collections.abc import Mapping
from typing import Any

from gossipfl.core.json_text import json_text
from gossipfl.net.reports import Measured
from gossipfl.node.dashboard.layout import positions
from gossipfl.node.network_view import NetworkView
from gossipfl.node.node_status import NodeStatus, figures, points

Told = Mapping[str, tuple[Measured, ...]]
"""The past of each node that a page knows by now."""


def event(kind: str, content: object) -> str:
    """One server-sent event; JSON has no line breaks in it."""
    return f"event: {kind}\ndata: {json_text(content)}\n\n"


def graph_of(view: NetworkView) -> dict[str, Any]:
    """Places and links; changes when nodes tell of links that peers.yaml does not name."""
    links = [edge.ends for edge in view.edges]
    return {"places": positions([node.name for node in view.nodes], links), "links": links}


def network_of(view: NetworkView) -> dict[str, Any]:
    """All that has no past."""
    whole = view.as_json()
    return {**whole, "nodes": [_node(view, node) for node in view.nodes]}


def history_of(view: NetworkView, told: Told) -> dict[str, Any]:
    """By node, the whole past of those whose past is not as told."""
    return {
        node.name: points(node.details.history)
        for node in view.nodes
        if node.details.history != told.get(node.name, ())
    }


def told_by(view: NetworkView) -> Told:
    """What a page knows after it."""
    return {node.name: node.details.history for node in view.nodes}


def _node(view: NetworkView, node: NodeStatus) -> dict[str, Any]:
    known = node.known
    return {
        "name": node.name,
        "health": view.health(node),
        "silent_s": node.silent_s,
        "has_address": node.has_address,
        # of a silent one what it said last
        "last": figures(known) if known is not None else None,
    }
