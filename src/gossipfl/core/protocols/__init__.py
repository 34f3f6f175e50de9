"""How states meet."""

from collections.abc import Mapping
from typing import Any

from gossipfl.core.protocol import Build
from gossipfl.core.protocols import alone, noloco, pairwise, push_sum, sync, wait_free

PROTOCOLS: Mapping[str, Build[Any]] = {
    "alone": alone.build,
    "sync": sync.build,
    "wait_free": wait_free.build,
    "pairwise": pairwise.build,
    "push_sum": push_sum.build,
    "noloco": noloco.build,
}
"""Builders by the name in `gossip.protocol`."""

__all__ = ["PROTOCOLS"]
