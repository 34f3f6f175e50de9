"""What a mechanism is and what it is made from.

    draw ──> units ──> a gradient source sums their (clipped) gradients ──> finish ──> gradient
    charged first                                                           noised, divided

`gradient` does all three for one node. A driver of many nodes draws for each, sums all of them in one pass
(`gossipfl.privacy.grouped`) and finishes for each. At the end of a phase both ask `release` for the values that the
node may go on from:

    draw, finish, step … draw, finish, step ──> after ── release ──> state ──> published, mixed
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from gossipfl.core.messages import Receipt
from gossipfl.privacy.account import Account
from gossipfl.privacy.pairs.terms import PairTerms
from gossipfl.privacy.plan import Plan
from gossipfl.privacy.rows import RowLosses, Rows
from gossipfl.privacy.sources.clip import Clip
from gossipfl.privacy.sources.seam import NOBODY, Places, UnitSource, pieces
from gossipfl.privacy.streams import Stream

Units = NDArray[np.int64]
Vector = NDArray[np.float32]
"""(size,) trained values, in the order of the exchanged vector."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A batch that is paid for.

    Attributes:
        receipt: covers this step.
        units: positions of the units in the batch; there may be none.
        clip: bounds one unit's gradient in the sum; None does not clip.
        divisor: what the sum is divided by.
    """

    receipt: Receipt
    units: Units
    clip: Clip | None
    divisor: float


class Mechanism(Protocol):
    """Turns the next batch of private data into a gradient that may be used, and a phase into what may leave it."""

    def draw(self, step: int) -> Drawn:
        """Pays for one step, or with the first one for its phase, and chooses its batch.

        Args:
            step: global index of the optimizer step, from 0; positions seeded streams.

        Guarantees:
            The account is charged, durably, before any unit is drawn.

        Raises:
            BudgetSpentError: the step cannot be paid for; nothing was done.
            LedgerError: the charge could not be written; nothing was done.
        """
        ...

    def finish(self, step: int, drawn: Drawn, sums: Tensor) -> Tensor:
        """The gradient that may be used: the sum with its noise, divided.

        Args:
            step: as for `draw`.
            sums: (size,) fp32 sum of the units' gradients, each clipped to `drawn.clip`, in the order of
                `module.parameters()`; overwritten by the result.
        """
        ...

    def gradient(self, step: int, resting: Places = NOBODY) -> Receipt:
        """Draws, sums and finishes: leaves the mean gradient of one batch in `grad` of every trainable parameter.

        Args:
            step: as for `draw`.
            resting: parameters that are not trained now: they get no gradient, no noise, and no part in a norm.

        Guarantees:
            See `draw`; the receipt covers this step. When anything raises, no gradient is left.

        Raises:
            As `draw`.
        """
        ...

    def release(self, first_step: int, before: Vector, after: Vector, *, phase: int) -> Vector:
        """Where a phase may bring the node; ends the phase, which may be shorter than it was to be.

        Args:
            first_step: of the phase; positions seeded streams.
            phase: its number in the whole run, the same at all nodes that train it for one exchange.
            before, after: the phase, finite; not changed. `after` itself is given where it may be.

        Guarantees:
            The account has paid for all that the result tells of private data.

        Raises:
            PrivacyError: something has changed, and nothing was paid for it.
        """
        ...

    def durable(self) -> dict[str, NDArray[np.float32]]:
        """What a resumed run needs to go on alike, by `KIND/NAME`; it follows from noised numbers only."""
        ...

    def restore(self, kept: Mapping[str, NDArray[np.float32]]) -> None:
        """Takes over what `durable` gave; keys of others are left alone."""
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
        account: charged before every step, or every phase.
        noise: of the noise, and of dropout.
        batches: of the choice of units.
        source: of unit gradients, one that has passed the self check; mechanisms may share it, in turn. None: the
            hooks of Opacus. Nothing at level none.
        pairs: of level correlated: neighbors, and the noise shared with them.
        shares: (units,) how often each is drawn, compared to those drawn most, in [0, 1], at least one 1; None: all
            are drawn as often.
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
    source: UnitSource | None = None
    pairs: PairTerms | None = None
    shares: NDArray[np.float64] | None = None


def leave(gradient: Tensor, parameters: Sequence[nn.Parameter], resting: Places = NOBODY) -> None:
    """Puts a flat gradient into `grad` of the parameters that do not rest, as views where their type is fp32."""
    for place, (parameter, piece) in enumerate(zip(parameters, pieces(gradient, parameters), strict=True)):
        parameter.grad = None if place in resting else piece.to(parameter.dtype)


def drop(parameters: Sequence[nn.Parameter]) -> None:
    """Takes the gradients off the parameters."""
    for parameter in parameters:
        parameter.grad = None
