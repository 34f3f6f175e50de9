"""What becomes of a message on its way.

sent ──> waits for the line ──> transmitted (bytes / bandwidth) ──> latency + jitter ──> arrives, twice, or never
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

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
    # read once: it is asked for at every message
    loss, duplication, jitter_s = config.loss, config.duplication, config.jitter_s

    @lru_cache(maxsize=64)
    def punctual(size: int, copies: int) -> Fate:
        line_s = size / config.bytes_per_s if config.bytes_per_s else 0.0
        return Fate(line_s, (line_s + config.latency_s,) * copies)

    def carry(edge: Edge, size: int) -> Fate:  # noqa: ARG001  # all edges are alike
        if loss and rng.random() < loss:
            return punctual(size, 0)
        copies = 2 if duplication and rng.random() < duplication else 1
        fate = punctual(size, copies)
        if not jitter_s:
            return fate
        jitters = rng.exponential(jitter_s, copies)
        return Fate(fate.line_s, tuple(at + float(jitter) for at, jitter in zip(fate.arrivals, jitters, strict=True)))

    return carry


LINKS: Mapping[str, BuildCarry] = {"plain": plain}
"""By the name in `simulation.links.kind`."""
