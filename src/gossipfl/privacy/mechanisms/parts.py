"""What a mechanism is and what it is made from."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import nn

from gossipfl.core.events import Receipt
from gossipfl.privacy.account import Account
from gossipfl.privacy.plan import Plan
from gossipfl.privacy.rows import RowLosses, Rows
from gossipfl.privacy.streams import Stream

Units = NDArray[np.int64]


class Mechanism(Protocol):
    """Turns the next batch of private data into a gradient that may be used."""

    def gradient(self, step: int) -> Receipt:
        """Leaves the mean gradient of one batch in `grad` of every trainable parameter.

        Args:
            step: global index of the optimizer step, from 0; positions seeded streams.

        Guarantees:
            The account is charged, durably, before any unit is drawn; the receipt covers this step. When anything
            raises, no gradient is left.

        Raises:
            BudgetSpentError: the step cannot be paid for; nothing was done.
            LedgerError: the charge could not be written; nothing was done.
        """
        ...


@dataclass(frozen=True, slots=True)
class MechanismParts:
    """What every mechanism is built from.

    Attributes:
        module: the model; what requires grad is trained.
        losses: one loss a row.
        load: rows of the given units, micro-batch by micro-batch, each of whole units.
        units: privacy units of this node, numbered from 0.
        batch_size: units in a batch; under privacy the plan's sample rate decides.
        plan: noise and sample rate; None at level none.
        account: charged before every step.
        noise: of the noise; without privacy, of dropout.
        batches: of the choice of units.
    """

    module: nn.Module
    losses: RowLosses
    load: Callable[[Units], Iterator[Rows]]
    units: int
    batch_size: int
    plan: Plan | None
    account: Account
    noise: Stream
    batches: Stream
