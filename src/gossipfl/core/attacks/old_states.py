"""What was true once: an old state as if it were new.

replay    the oldest that it remembers, for ever
stale     that of some publications ago
"""

from dataclasses import dataclass
from typing import Generic

from gossipfl.core.attacks.seam import Scene
from gossipfl.core.vector import P


@dataclass(frozen=True, slots=True)
class OldStates(Generic[P]):
    """See the module.

    Attributes:
        back: publications; None: as far as it goes.
    """

    back: int | None

    def send(self, scene: Scene[P]) -> P:
        """See `Attack`; the true state while there is none so old."""
        if not scene.earlier:
            return scene.own
        return scene.earlier[-min(self.back, len(scene.earlier)) if self.back else 0]
