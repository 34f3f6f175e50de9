"""The nodes' state as tables for a terminal."""

import math
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table

from gossipfl.cli.output import table
from gossipfl.net.reports import Measured
from gossipfl.node.network_view import NetworkView
from gossipfl.node.node_status import NodeStatus
from gossipfl.node.set_aside import Aside

_STYLES = {"down": "red", "partly": "yellow", "linked": "cyan", "ended": "dim", "unknown": "dim", "up": "none"}
_BARS = "▁▂▃▄▅▆▇█"
_SHOWN_POINTS = 24


def drawn(view: NetworkView, title: str) -> Table:
    """A row a node; the ε of a node without privacy is `none`, figures of a silent one `–`."""
    columns = ("node", "up", "state", "step", "ε", "links", "staleness", "bytes sent", "rejected")
    return _colored(view, table(columns, [_row(node) for node in view.nodes], title=title))


def with_set_aside(nodes: Table, aside: Aside) -> RenderableType:
    """The nodes, and what those of this machine have set aside of their watched folders."""
    if not aside:
        return nodes
    rows = [(name, file, reason) for name, files in aside.items() for file, reason in files.items()]
    drawn = table(("node", "file", "why"), rows, title="set aside, on this machine")
    # the name is what is looked for: it stays whole, and the reason goes on below
    drawn.columns[2].no_wrap = False
    return Group(nodes, drawn)


def drawn_live(view: NetworkView, title: str) -> RenderableType:
    """All there is to see: nodes with their curves, edges, what was turned away last."""
    columns = ("node", "state", "step", "ε", "accuracy", "loss", "curve", "distance", "links", "staleness", "sent")
    nodes = _colored(view, table(columns, [_live_row(view, node) for node in view.nodes], title=title))
    parts: list[RenderableType] = [nodes, _agreement(view), table(*_edges(view), title="edges")]
    if rejections := view.rejections():
        rows = [
            (name, row.peer or "no neighbor", row.reason, row.times, f"{ago(row.ago_s)} ago")
            for name, row in rejections
        ]
        parts.append(table(("node", "turned away", "for", "times", "last"), rows, title="rejected"))
    return Group(*parts)


def _row(node: NodeStatus) -> Sequence[object]:
    row = node.as_json()
    rejected = ", ".join(f"{reason} {times}" for reason, times in row["rejected"].items()) or "none"
    keys = ("staleness", "bytes_sent")
    return [
        node.name,
        row["up"],
        row["state"],
        _step(node),
        _epsilon(node),
        _links(node),
        *map(row.get, keys),
        rejected,
    ]


def _live_row(view: NetworkView, node: NodeStatus) -> Sequence[object]:
    row, health = node.as_json(), view.health(node)
    state = row["state"] if health == "up" else health if node.answer is None else f"{row['state']}, {health}"
    past = node.details.history
    figures = (row.get("accuracy"), row.get("loss"), curve(past), past[-1].distance if past else None)
    return [
        *(node.name, state, _step(node), _epsilon(node), *figures),
        *(_links(node), row["staleness"], size(row["bytes_sent"])),
    ]


def _step(node: NodeStatus) -> str | None:
    if node.answer is None:
        return None
    planned = node.details.steps_planned
    return f"{node.answer.step}/{planned}" if planned else f"{node.answer.step}"


def _epsilon(node: NodeStatus) -> str | None:
    """Spent and budget."""
    if node.answer is None:
        return None
    if math.isinf(node.answer.epsilon):
        return "none"
    budget = node.details.target_epsilon
    return f"{node.answer.epsilon:.3g}" + (f"/{budget:g}" if budget is not None else "")


def _links(node: NodeStatus) -> str | None:
    return None if node.answer is None else f"{node.answer.neighbors_up}/{node.answer.neighbors}"


def _colored(view: NetworkView, nodes: Table) -> Table:
    for row, node in zip(nodes.rows, view.nodes, strict=True):
        row.style = _STYLES[view.health(node)]
    return nodes


def _agreement(view: NetworkView) -> str:
    between = view.consensus_distance()
    if between is None:
        return " consensus distance: not known yet\n"
    low, high = (f"{each:.3g}" for each in between)
    return f" consensus distance: {low}\n" if low == high else f" consensus distance: between {low} and {high}\n"


def _edges(view: NetworkView) -> tuple[Sequence[str], Sequence[Sequence[object]]]:
    rows = [
        (f"{edge.ends[0]} – {edge.ends[1]}", edge.up, *map(size, edge.bytes), edge.staleness, edge.distance)
        for edge in view.edges
    ]
    return ("edge", "up", "sent →", "sent ←", "staleness", "distance"), rows


def size(count_bytes: int | None) -> str | None:
    """For people: `1.2 MB`."""
    if count_bytes is None:
        return None
    for unit, one in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count_bytes >= one:
            return f"{count_bytes / one:.3g} {unit}"
    return f"{count_bytes} B"


def ago(seconds: float) -> str:
    """For people: `12 s`, `3 min`, `2 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def curve(history: Sequence[Measured]) -> str:
    """Accuracy over the steps, else loss, in blocks from its least to its most; empty without a common test set."""
    values = [point.test_accuracy for point in history if point.test_accuracy is not None]
    values = values or [point.test_loss for point in history if point.test_loss is not None]
    if not values:
        return ""
    shown = [values[round(place * (len(values) - 1) / (_SHOWN_POINTS - 1))] for place in range(_SHOWN_POINTS)]
    low, high = min(shown), max(shown)
    span = high - low or 1.0
    return "".join(_BARS[min(int((value - low) / span * len(_BARS)), len(_BARS) - 1)] for value in shown)
