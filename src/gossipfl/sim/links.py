"""What becomes of a message on its way.

sent ──> waits for the line ──> transmitted (bytes / bandwidth) ──> latency + jitter ──> arrives, twice, or never
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from gossipfl.config.simulation import LinksConfig

Edge = tuple[str, str]
"""(sender, receiver)"""


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one message.

    Attributes:
        line_s: seconds the line is busy with it.
        arrivals: when it arrives, in seconds after it was put on the line; none: it is lost.
    """

    line_s: float
    arrivals: tuple[float, ...]


Carry = Callable[[Edge, int], Fate]
"""(edge, bytes) to the message's fate."""
BuildCarry = Callable[[LinksConfig, np.random.Generator], Carry]


def plain(config: LinksConfig, rng: np.random.Generator) -> Carry:
    """The same line between all nodes."""
    # a perfect line draws nothing, which is most of its cost
    perfect = not (config.loss or config.duplication or config.jitter_s)

    def carry(edge: Edge, size: int) -> Fate:  # noqa: ARG001  # all edges are alike
        line_s = size / config.bytes_per_s if config.bytes_per_s else 0.0
        earliest = line_s + config.latency_s
        if perfect:
            return Fate(line_s, (earliest,))
        if config.loss and rng.random() < config.loss:
            return Fate(line_s, ())
        copies = 2 if config.duplication and rng.random() < config.duplication else 1
        jitters = rng.exponential(config.jitter_s, copies) if config.jitter_s else [0.0] * copies
        return Fate(line_s, tuple(earliest + float(jitter) for jitter in jitters))

    return carry


LINKS: Mapping[str, BuildCarry] = {"plain": plain}
"""By the name in `simulation.links.kind`."""
