"""Pictures of graphs: written without a display, equal for equal graphs."""

from pathlib import Path

import networkx as nx
import pytest

from gossipfl.config.graph_types import DiGraph, Graph
from gossipfl.errors import ConfigError
from gossipfl.report.graph_picture import draw_graph

HEADS = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}


def ring(nodes: int) -> Graph:
    return Graph([(f"n{number}", f"n{(number + 1) % nodes}") for number in range(nodes)])


@pytest.mark.parametrize("ending", HEADS)
def test_the_ending_decides_the_format_and_equal_graphs_give_equal_files(ending: str, tmp_path: Path) -> None:
    first, second = tmp_path / f"first.{ending}", tmp_path / f"second.{ending}"
    draw_graph(ring(8), first, title="ring")
    draw_graph(ring(8), second, title="ring")
    assert first.read_bytes().startswith(HEADS[ending])
    assert first.read_bytes() == second.read_bytes()


def test_names_are_written_in_the_picture(tmp_path: Path) -> None:
    draw_graph(DiGraph([("north", "lab"), ("lab", "north")]), tmp_path / "two.svg")
    text = (tmp_path / "two.svg").read_text()
    assert "<!-- north -->" in text
    assert "<!-- lab -->" in text


@pytest.mark.parametrize("nodes", [100, 150, 1200])
def test_a_large_graph_is_drawn_without_names(nodes: int, tmp_path: Path) -> None:
    draw_graph(ring(nodes), tmp_path / "large.svg")
    assert "<!-- n1 -->" not in (tmp_path / "large.svg").read_text()


def test_another_ending_is_refused(tmp_path: Path) -> None:
    graph: Graph = nx.path_graph(2)
    with pytest.raises(ConfigError, match="should end in one of"):
        draw_graph(graph, tmp_path / "x.gif")
