"""The files of the study of robustness: digits for the two sides of a dumbbell."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gossipfl.config.loading import LoadedExperiment
from gossipfl.core.rng import generator
from gossipfl.learning.data.digits import SKLEARN, read_sklearn

SIDE = 10
"""Nodes of a clique; classes are dealt half to each."""
CLASSES = 5


def write_sides(path: Path) -> None:
    """scikit-learn's digits with a column `node`: 0 to 4 at n0 … n9, 5 to 9 at n10 … n19; a file that is there stays.

    Raises:
        DataError: scikit-learn is not installed.
    """
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text("".join(json.dumps(row) + "\n" for row in _rows()))
    fresh.replace(path)


def _rows() -> Iterator[dict[str, object]]:
    table = read_sklearn(f"{SKLEARN}digits")
    labels = np.array(table["label"])
    for side in range(2):
        mine = np.flatnonzero(labels.astype(int) // CLASSES == side)
        for place, row in enumerate(generator(0, purpose="sides").permutation(mine).tolist()):
            yield {**table[row], "node": f"n{side * SIDE + place % SIDE}"}


def prepare_part(loaded: LoadedExperiment) -> LoadedExperiment:
    """The experiment with its files written."""
    write_sides(loaded.folder / "../data/digits-sides.jsonl")
    return loaded
