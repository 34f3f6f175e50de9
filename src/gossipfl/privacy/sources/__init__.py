"""Where gradients come from.

plain     one backward pass, sums only: level none
hooks     unit gradients by the hooks of Opacus
grouped   unit gradients by the grouped layer: as fast as a plain pass, for fewer kinds of layers
"""

from collections.abc import Callable, Mapping
from typing import Literal

from torch import nn

from gossipfl.privacy.rows import RowLosses
from gossipfl.privacy.sources.grouped import GroupedSource
from gossipfl.privacy.sources.hooks import HookedGradients
from gossipfl.privacy.sources.seam import GradientSource, UnitSource

Engine = Literal["hooks", "grouped"]

ENGINES: Mapping[Engine, Callable[[nn.Module, RowLosses], UnitSource]] = {
    "hooks": HookedGradients,
    "grouped": GroupedSource,
}
"""`privacy.engine` to what gives unit gradients."""

__all__ = ["ENGINES", "Engine", "GradientSource", "UnitSource"]
