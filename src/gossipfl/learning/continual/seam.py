"""What a way of training on data that came in periods has to say."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Periods = NDArray[np.int64]
"""(units,) the period in which each unit came, from 0."""


class Continual(Protocol):
    """How much of a batch each period has, what holds the state where it was, and how many adapters there are."""

    def shares(self, periods: Periods) -> NDArray[np.float64]:
        """(units,) how often each unit is drawn, compared to those drawn most.

        Args:
            periods: of two periods at least.

        Guarantees:
            Between 0 and 1, at least one of them 1; it depends on no content, only on when units came.
        """
        ...

    @property
    def proximal_mu(self) -> float:
        """μ of a pull to what a phase starts from, see `Learner.train`; 0: none."""
        ...

    @property
    def merges(self) -> bool:
        """Whether each period has an adapter of its own, of which the newest is trained and the mean shared.

        May be left out: then there is one.
        """
        ...
