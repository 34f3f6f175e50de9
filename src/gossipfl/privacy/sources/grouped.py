"""Unit gradients by the grouped layer, for groups = samples: one adapter, a gradient for every row.

The forward pass is the ordinary one; in the backward pass the weight's gradient is one `bmm` over rows in place of one
matrix product, into memory that every micro-batch uses again.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from gossipfl.privacy.grouped.engine import GroupedEngine
from gossipfl.privacy.grouped.layout import Layout
from gossipfl.privacy.rows import RowLosses, Rows
from gossipfl.privacy.sources.clip import Clip
from gossipfl.privacy.sources.clipping import add_one_batch
from gossipfl.privacy.sources.seam import NOBODY, Places


class GroupedSource:
    """Unit gradients of one module, see `UnitSource`; nothing stays on the module between two calls.

    Raises:
        PrivacyError: a trained layer is of a kind that cannot be grouped.
    """

    def __init__(self, module: nn.Module, losses: RowLosses) -> None:
        self._engine = GroupedEngine(module, losses)

    def add(self, rows: Rows, clip: Clip | None, into: Tensor, resting: Places = NOBODY) -> None:
        """See `GradientSource.add`; rows × trainable × 4 bytes stay until `clear`."""
        add_one_batch(self.unit_gradients(rows), clip, into, resting)

    def unit_gradients(self, rows: Rows) -> Sequence[Tensor]:
        """See `UnitSource`.

        Raises:
            PrivacyError: see `GroupedEngine.gradients`.
        """
        # no dropout: one fixed function per unit
        self._engine.set_dropout(on=False)
        layout = Layout((rows.count,), rows.unit.device)
        found = self._engine.gradients(rows, layout, self._engine.shared(), by_row=True)
        return rows.by_unit(found)

    def clear(self) -> None:
        """See `GradientSource.clear`."""
        self._engine.clear()

    def close(self) -> None:
        """See `GradientSource.close`."""
        self.clear()
