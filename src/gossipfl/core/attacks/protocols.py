"""Which protocols attackers know a lie for."""

from gossipfl.config.attackers import AttackersConfig
from gossipfl.config.gossip import GossipConfig
from gossipfl.errors import ConfigError

WITH_BOOKS = frozenset({"push_sum", "pairwise"})


def check_protocol(attackers: AttackersConfig, gossip: GossipConfig, *, field: str) -> None:
    """Attackers send states, and lie of nothing else.

    Raises:
        ConfigError: the protocol sends sums.
    """
    if attackers.kind != "none" and not attackers.poisons and gossip.protocol in WITH_BOOKS:
        raise ConfigError(
            f"{field} {attackers.kind}: gossip.protocol {gossip.protocol} books what crosses each edge, and attackers "
            "know no lie for it: sync, wait_free or noloco were expected"
        )
