"""What goes into one pass over many groups, and what comes out.

group 0   vector 0, rows ┐                                           ┌ Σ of its units' gradients
group 1   vector 1, rows ┼─> one forward and backward pass of all ──>┼ Σ of its units' gradients
…                        ┘   rows through one frozen base            └ …
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from gossipfl.privacy.rows import Rows
from gossipfl.privacy.sources.clip import Clip
from gossipfl.privacy.sources.seam import NOBODY, Places


@dataclass(frozen=True, slots=True)
class Group:
    """One node's part of a pass.

    Attributes:
        vector: (size,) fp32 values of the trainable parameters, in the order of `module.parameters()`; None takes
            those that are in the module.
        rows: its batch; it may be empty (`tensors` are then not looked at).
        clip: bounds one unit's gradient; None does not clip.
        divisor: what the sum is divided by; 1 where `Mechanism.finish` divides.
        resting: parameters that are not trained now; they have no part in a norm, and zeros in the sum.
    """

    vector: Tensor | None
    rows: Rows
    clip: Clip | None = None
    divisor: float = 1.0
    resting: Places = NOBODY


class ManyGradients(Protocol):
    """Gradients of many groups at once, each at its own values of the trainable parameters."""

    def sums(self, groups: Sequence[Group]) -> Tensor:
        """(groups, size) fp32: of each group the sum of its units' (clipped) gradients over its divisor.

        Guarantees:
            No row of one group has a part in another's sum; a group without rows has zeros. Each sum is that of one
            backward pass of the group alone, up to rounding. The module's parameters, gradients and forward methods
            are as before, also after an error.

        Raises:
            PrivacyError: the module cannot be grouped; the message says which layer and why.
        """
        ...
