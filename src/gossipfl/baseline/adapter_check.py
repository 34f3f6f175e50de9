"""Which adapters go with a server that averages values."""

from gossipfl.config.experiment import Experiment
from gossipfl.errors import ConfigError


def check_adapter(experiment: Experiment) -> None:
    """Refuses what Flower's strategies would average otherwise than gossip does.

    Raises:
        ConfigError: the adapter's factors are merged as products, or some of it is private.
    """
    if experiment.adapter.private:
        raise ConfigError(
            "adapter.private: is for gossip; a Flower client takes all that it trains from the server: leave it empty"
        )
    if experiment.adapter.mixed_ranks:
        raise ConfigError("adapter.mixed_ranks: is for gossip; Flower's strategies average values of one layout")
    merge = experiment.adapter.merge
    if merge != "factors":
        raise ConfigError(
            f"adapter.merge: {merge} is for gossip; Flower's strategies average A and B themselves: factors is wanted"
        )
