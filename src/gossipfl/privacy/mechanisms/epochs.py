"""Batches of a fixed size without privacy: every epoch takes every unit once, in an order of its own.

shares   1 1 1 1 1 ¼ ¼ ¼ ¼      two kinds of units, each with epochs of its own
batch    [· · · · ·|·]          of each kind the part that its shares come to
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gossipfl.privacy.mechanisms.parts import Units
from gossipfl.privacy.streams import Stream


@dataclass(frozen=True, slots=True)
class Epoch:
    """One pass over all units.

    Attributes:
        batches: units of each.
    """

    number: int
    batches: tuple[Units, ...]


class Epochs:
    """Batches of some units, step after step; which they are follows from the step's index and the stream.

    Args:
        units: positions; one at least.
        batch_size: units in a batch at most.
        offset: tells the epochs of these units from those of others of the same stream.
    """

    def __init__(self, units: Units, batch_size: int, *, offset: int = 0) -> None:
        self._units = units
        self._offset = offset
        self._count = math.ceil(len(units) / batch_size)
        # a batch of all units needs no order
        self._epoch = Epoch(-1, (units,))

    def batch(self, step: int, stream: Stream) -> Units:
        """The units of batch `step`: an epoch is cut into batches of nearly equal size, at most `batch_size`."""
        number, place = divmod(step, self._count)
        if number != self._epoch.number and self._count > 1:
            keys = stream.at(number + self._offset).uniform(len(self._units))
            order = self._units[np.argsort(keys, kind="stable")]
            self._epoch = Epoch(number, tuple(np.array_split(order, self._count)))
        return self._epoch.batches[place]


_APART = 1 << 40
"""Between the positions of two kinds' epochs in a stream: more than there are steps."""


def epochs_of(units: int, batch_size: int, shares: NDArray[np.float64] | None) -> tuple[Epochs, ...]:
    """Epochs of each kind of units; one kind where all are drawn as often.

    Args:
        shares: see `MechanismParts`; units of share 0 are never drawn.

    Guarantees:
        A batch has one unit at least of every kind that is drawn at all, and `batch_size` at most in all where that
        allows it.
    """
    everybody = np.arange(units, dtype=np.int64)
    if shares is None:
        return (Epochs(everybody, batch_size),)
    kinds = [everybody[shares == share] for share in np.unique(shares)[::-1] if share]
    weights = np.array([shares[kind].sum() for kind in kinds])
    wished = _rounded(min(1.0, batch_size / weights.sum()) * weights)
    return tuple(
        Epochs(kind, min(len(kind), size), offset=place * _APART)
        for place, (kind, size) in enumerate(zip(kinds, wished, strict=True))
    )


def _rounded(wished: NDArray[np.float64]) -> list[int]:
    """Whole numbers of about the same sum, none of them 0: the largest gives way."""
    sizes = np.maximum(1, np.rint(wished)).astype(np.int64)
    most = int(sizes.argmax())
    sizes[most] = max(1, sizes[most] + round(float(wished.sum())) - int(sizes.sum()))
    return [int(size) for size in sizes]
