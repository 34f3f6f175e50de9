"""What a node of level correlated needs to know of the network before it trains."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from gossipfl.privacy.pairs.exposure import Exposure, exposure
from gossipfl.privacy.pairs.noise import PairNoise


@dataclass(frozen=True, slots=True)
class PairTerms:
    """The edges of a node, and their noise.

    Attributes:
        node: its name.
        links: neighbors of every node of the network.
        noise: makes the pair noise.
    """

    node: str
    links: Mapping[str, Collection[str]]
    noise: PairNoise

    def exposure(self, *, own: float, others: float, pair: float) -> Exposure:
        """See `exposure`."""
        return exposure(self.links, self.node, own=own, others=others, pair=pair)
