"""A node's curves for TensorBoard, of the very lines that its metrics.jsonl has."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from gossipfl.runs.curves import NODE, Curves, Row, last_line

Draw = Callable[[Row], None]


def curves_of(folder: Path | None, name: str, metrics: Path, stack: ExitStack) -> Draw:
    """What is told each line of a node; what has to be closed is put on the stack.

    Args:
        folder: where every node has a folder of its own; None: no curves.
        metrics: what earlier lives of the node wrote down.

    Raises:
        ConfigError: the folder cannot be made.
    """
    if folder is None:
        return lambda _: None
    before = last_line(metrics, NODE)
    curves = Curves(folder / name, NODE, lambda: before)
    stack.callback(curves.close)
    return curves.take
