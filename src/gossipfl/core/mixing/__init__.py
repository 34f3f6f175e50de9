"""How contributions combine."""

from collections.abc import Callable, Mapping
from typing import Any

from gossipfl.config.gossip import GossipConfig
from gossipfl.config.model import AdapterConfig
from gossipfl.core.mixing.blocks import LeadingBlocks
from gossipfl.core.mixing.clipping import SelfCenteredClipping
from gossipfl.core.mixing.folding import Folding
from gossipfl.core.mixing.geometric_median import GeometricMedian
from gossipfl.core.mixing.krum import Krum
from gossipfl.core.mixing.nearest import Nearest
from gossipfl.core.mixing.products import Products
from gossipfl.core.mixing.trimmed import Trimmed
from gossipfl.core.mixing.weighted import Weighted
from gossipfl.core.protocol import Mixing
from gossipfl.core.tables import resolve
from gossipfl.state import AdapterState

BuildMixing = Callable[[GossipConfig], Mixing[Any]]
"""How a mixing's file offers itself to the table."""

MIXINGS: Mapping[str, BuildMixing] = {
    "weighted": lambda _: Weighted(),
    "self_centered_clipping": lambda gossip: SelfCenteredClipping(gossip.clipping_radius, gossip.byzantine),
    "trimmed_mean": lambda gossip: Trimmed(gossip.byzantine),
    "median": lambda _: Trimmed(None),
    "krum": lambda gossip: Krum(gossip.byzantine, several=False),
    "multi_krum": lambda gossip: Krum(gossip.byzantine, several=True),
    "geometric_median": lambda _: GeometricMedian(),
    "nearest": lambda gossip: Nearest(gossip.byzantine),
}
"""Builders by the name in `gossip.mixing`: `resolve(MIXINGS, gossip.mixing, field="gossip.mixing")(gossip)`."""


def build_mixing(gossip: GossipConfig, adapter: AdapterConfig, initial: AdapterState) -> Mixing[AdapterState]:
    """How the states of an adapter combine, by `gossip.mixing` and `adapter.merge`.

    Args:
        initial: where the node starts.

    Raises:
        ConfigError: there is no mixing of that name.
    """
    plain: Mixing[AdapterState] = resolve(MIXINGS, gossip.mixing, field="gossip.mixing")(gossip)
    match adapter.merge:
        case "factors":
            return LeadingBlocks(adapter.scale) if adapter.mixed_ranks else plain
        case "svd":
            return Products(adapter.scale)
        case "exact":
            return Folding(adapter.scale, None)
        case "stack":
            return Folding(adapter.scale, initial)


def is_linear(mixing: Mixing[Any]) -> bool:
    """Whether what is averaged becomes the weighted mean of all: then λ and exactness of the weights are the run's.

    A truncated mean is not it, nor one of those only that have an entry; of a mixing of the user's own nobody knows.
    """
    return isinstance(mixing, Weighted | Folding)


__all__ = ["MIXINGS", "BuildMixing", "build_mixing", "is_linear"]
