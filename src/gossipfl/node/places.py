"""Where things of a node lie when nobody says otherwise; knows nothing of what is in them."""

from pathlib import Path

DATA_JOURNAL = "data.json"
"""In a state directory: see `node.periods`."""


def state_place(folder: Path, name: str) -> Path:
    """A node's state directory.

    Args:
        folder: where peers.yaml lies.
    """
    return folder / "state" / name
