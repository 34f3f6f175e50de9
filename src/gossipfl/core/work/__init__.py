"""How much a phase counts that took more steps than others', or fewer."""

from collections.abc import Callable, Mapping

from gossipfl.config.gossip import GossipConfig
from gossipfl.config.training import TrainingConfig
from gossipfl.core.mixing.weighted import weighted_sum
from gossipfl.core.tables import resolve
from gossipfl.core.vector import P
from gossipfl.core.work import as_done, normalized
from gossipfl.core.work.seam import Factor, Phase

WORKS: Mapping[str, Factor] = {"normalized": normalized.factor, "as_done": as_done.factor}
"""Rules by the name in `gossip.work`."""


def build_work(gossip: GossipConfig, training: TrainingConfig) -> Callable[[int], float]:
    """Steps of a phase to the factor on its increment, for a node that trains so.

    Args:
        training: the node's own.

    Raises:
        ConfigError: there is no rule of that name.
    """
    factor = resolve(WORKS, gossip.work, field="gossip.work")
    forgets = training.optimizer == "sgd" and training.optimizer_state == "reset"
    momentum, common = training.momentum if forgets else 0.0, training.counted_steps
    return lambda steps: factor(Phase(steps, common, momentum))


def scaled(start: P, after: P, work: Callable[[int], float], steps: int) -> P:
    """Where a phase has led, by as much as one of so many steps counts; where nothing was done, as it is."""
    factor = work(steps) if steps else 1.0
    return after if factor == 1.0 else weighted_sum([(factor, after), (1.0 - factor, start)])


__all__ = ["WORKS", "build_work", "scaled"]
