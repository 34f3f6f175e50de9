"""A node's curves for TensorBoard, beside what else its record is told to."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from gossipfl.node.record import NodeRecord
from gossipfl.runs.curves import NODE, Curves, last_line

Report = Callable[[NodeRecord], None]


def with_curves(report: Report, folder: Path | None, name: str, metrics: Path, stack: ExitStack) -> Report:
    """What a node's record is told to; what has to be closed is put on the stack.

    Args:
        folder: where every node has a folder of its own; None: no curves.
        metrics: what earlier lives of the node wrote down.

    Raises:
        ConfigError: the folder cannot be made.
    """
    if folder is None:
        return report
    before = last_line(metrics, NODE)
    curves = Curves(folder / name, NODE, lambda: before)
    stack.callback(curves.close)

    def tell(record: NodeRecord) -> None:
        report(record)
        curves.take(record.as_json())

    return tell
