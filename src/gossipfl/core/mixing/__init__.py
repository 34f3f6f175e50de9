"""How contributions combine."""

from collections.abc import Callable, Mapping
from typing import Any

from gossipfl.config.gossip import GossipConfig
from gossipfl.core.mixing.weighted import Weighted
from gossipfl.core.protocol import Mixing

BuildMixing = Callable[[GossipConfig], Mixing[Any]]
"""How a mixing's file offers itself to the table."""

MIXINGS: Mapping[str, BuildMixing] = {"weighted": lambda _: Weighted()}
"""Builders by the name in `gossip.mixing`: `resolve(MIXINGS, gossip.mixing, field="gossip.mixing")(gossip)`."""

__all__ = ["MIXINGS", "BuildMixing"]
