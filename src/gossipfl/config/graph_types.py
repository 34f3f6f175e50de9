"""What a graph is here: networkx's, its nodes the names of peers.yaml (`Graph`) or 0 … n−1 (`NumberedGraph`).

Both may be directed: u → v means that u sends to v. `Given` is what `topology.kind` names: the graph of a file, the
several of one, or None for a generator. At run time networkx's classes take no parameters.
"""

from typing import TYPE_CHECKING

import networkx as nx

if TYPE_CHECKING:
    Graph = nx.Graph[str]
    DiGraph = nx.DiGraph[str]
    NumberedGraph = nx.Graph[int]
    Given = Graph | tuple[Graph, ...] | None
else:
    Graph = NumberedGraph = nx.Graph
    DiGraph = nx.DiGraph
    Given = nx.Graph | tuple[nx.Graph, ...] | None
