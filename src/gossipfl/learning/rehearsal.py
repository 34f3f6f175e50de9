"""A step on made-up records: what a step costs here, said without looking at private data.

Kinds and shapes are those of the node's rows, but for their lengths: every text is as long as `task.max_length` lets
it be, and there are as many rows as an expected batch has at most. Nothing of it is kept: no gradient, no moment, no
charge. What it takes to read a record, to decode an image say, is not in it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gossipfl.config.experiment import Experiment
from gossipfl.errors import PrivacyError
from gossipfl.learning.data import Examples
from gossipfl.learning.timed import Rehearse
from gossipfl.privacy.mechanisms import MechanismParts
from gossipfl.privacy.rows import Rows
from gossipfl.privacy.sources.clip import Clip
from gossipfl.privacy.sources.plain import PlainGradients
from gossipfl.privacy.sources.seam import zeros_for


def rehearsal(experiment: Experiment, parts: MechanismParts, train: Examples) -> Rehearse | None:
    """A step of such a mechanism; None at level none, whose steps may be counted by the clock.

    Args:
        train: whose kind of rows is made up; their values and lengths are not looked at.

    Raises:
        PrivacyError: `training.local_seconds` on a device that works behind the program's back.
    """
    if parts.plan is None:
        return None
    if experiment.training.local_seconds is not None and train.device.type != "cpu":
        # what is still under way there is private, and a clock around the rehearsal would have it in
        raise PrivacyError(
            f"training.local_seconds: under privacy a rehearsal says how many steps fit, which on {train.device.type} "
            "it could not tell apart from private work: set local_steps alone, or training.device cpu"
        )
    units = max(1, round(parts.plan.expected_batch if experiment.privacy.noises_steps else parts.batch_size))
    rows = min(units, parts.units) * (experiment.data.max_per_unit if experiment.data.unit else 1)
    length, micro = experiment.task.max_length, experiment.training.micro_batch
    sizes = [min(micro, rows - first) for first in range(0, rows, micro)]
    layered = experiment.privacy.clipping == "per_layer"
    clip = Clip(parts.plan.max_grad_norm, layered) if experiment.privacy.noises_steps else None

    def step() -> None:
        batches = (made_up(train, size, length) for size in sizes)
        if clip is None:
            source = PlainGradients(parts.module, parts.losses)
            source.leave(batches, float(rows))
            source.clear()
            return
        _clipped(parts, clip, batches)

    return step


def _clipped(parts: MechanismParts, clip: Clip, batches: Iterator[Rows]) -> None:
    if parts.source is None:
        raise AssertionError("hooks on a module remove those of the mechanism: it has to give its source")
    sums = zeros_for(parts.module)
    try:
        for rows in batches:
            parts.source.add(rows, clip, sums)
    finally:
        parts.source.clear()


def made_up(train: Examples, count: int, length: int) -> Rows:
    """Rows of the same kind, each a unit, with texts of `length` tokens."""
    kinds: Mapping[str, NDArray[Any]] = train.content.arrays(np.zeros(1, np.int64))
    arrays = {name: _filled(name, kind, count, length) for name, kind in kinds.items()}
    tensors = {name: torch.from_numpy(array).to(train.device) for name, array in arrays.items()}
    return Rows(tensors, torch.arange(count, device=train.device))


def _filled(name: str, kind: NDArray[Any], count: int, length: int) -> NDArray[Any]:
    """Whole numbers of a row are tokens, whose number is private; shapes of other values are the model's."""
    tail = (*kind.shape[1:-1], length) if kind.ndim > 1 and np.issubdtype(kind.dtype, np.integer) else kind.shape[1:]
    return np.full((count, *tail), 1 if "mask" in name else 0, kind.dtype)
