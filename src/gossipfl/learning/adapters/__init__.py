"""What is trained and averaged: the table of adapters and `attach`."""

from pathlib import Path

from gossipfl.config.experiment import Experiment
from gossipfl.learning.adapters.adapted import Adapted
from gossipfl.learning.base import BaseModel

__all__ = ["Adapted", "attach"]


def attach(base: BaseModel, experiment: Experiment, *, basis: Path | None = None) -> Adapted:
    """Puts the experiment's adapter into the base model, which is changed in place.

    Args:
        basis: `core`: file with the public factors; None computes them from the base weights.

    Raises:
        ModelError: no layer matches the targets, a rank does not fit a layer, or the basis is not unique.
    """
    raise NotImplementedError
