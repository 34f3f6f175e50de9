"""How the gradient of one unit is bounded.

flat        ‖g_u‖ over all parameters together            ≤ C
per layer   ‖g_u,p‖ of each of k parameters by itself     ≤ C/√k, so that all together are ≤ C

Both have sensitivity C: a unit more or less moves the sum by C at most, and the noise is the same. Per layer no
parameter of large gradients pushes the others aside.

Source: Abadi et al. (2016); per layer: McMahan et al. (2018).
"""

from dataclasses import dataclass


class ShortUnits:
    """Counts the units of one batch whose gradient was no longer than its clip."""

    def __init__(self) -> None:
        self.count = 0


@dataclass(frozen=True, slots=True)
class Clip:
    """The bound of one batch.

    Attributes:
        norm: C, over the parameters that do not rest.
        per_layer: each of them by itself, to an equal share of C.
        short: told how many units were no longer than C; None: nobody asks. It holds private data.
    """

    norm: float
    per_layer: bool = False
    short: ShortUnits | None = None


def note_short(clip: Clip | None, count: int) -> None:
    """Tells who asks how many units were short enough; once a batch, when nothing can fail any more."""
    if clip is not None and clip.short is not None:
        clip.short.count += count
