"""How a node trains on data that came in periods: what of its earlier data it uses, and what holds it.

period 0 ── period 1 ── …        a batch has units of which periods, and how many ─> shares ─> sampling, accounting
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gossipfl.config.experiment import Experiment
from gossipfl.config.training import TrainingConfig
from gossipfl.core.tables import resolve
from gossipfl.errors import ConfigError
from gossipfl.learning.continual.everything import Everything
from gossipfl.learning.continual.merged import Merged
from gossipfl.learning.continual.newest import Newest
from gossipfl.learning.continual.proximal import Proximal
from gossipfl.learning.continual.replay import Replay
from gossipfl.learning.continual.seam import Continual, Periods
from gossipfl.learning.data import NodeRecords

CONTINUALS: Mapping[str, Callable[[TrainingConfig], Continual]] = {
    "all": lambda _: Everything(),
    "newest": lambda _: Newest(),
    "replay": lambda training: Replay(training.replay_share),
    "proximal": lambda training: Proximal(training.proximal_mu),
    "merged": lambda _: Merged(),
}
"""By the name in `training.continual`."""


def build_continual(training: TrainingConfig) -> Continual:
    """The experiment's way.

    Raises:
        ConfigError: there is none of that name.
    """
    return resolve(CONTINUALS, training.continual, field="training.continual")(training)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a node trains on what it has now.

    Attributes:
        shares: (units,) see `Continual.shares`; None: all units are drawn as often.
        proximal_mu: of every phase.
        adapters: of which the newest is trained, see `offset`.
    """

    shares: NDArray[np.float64] | None = None
    proximal_mu: float = 0.0
    adapters: int = 1

    def weight(self, units: int) -> float:
        """Σ of the shares: as many units drawn most would be drawn as often in all."""
        return float(units) if self.shares is None else float(self.shares.sum())


def sampling_of(experiment: Experiment, records: NodeRecords) -> Sampling:
    """That of these records; before a second period there is nothing to choose from, and nothing to hold on to.

    Raises:
        ConfigError: there is no such way, or one of the user's own gives no such shares.
    """
    periods = np.array(records.periods, np.int64)
    way = build_continual(experiment.training)
    # one of the user's own may be older than this
    merges = getattr(way, "merges", False)
    if merges and records.came > 1 and experiment.adapter.merge != "factors":
        raise ConfigError(
            f"training.continual {experiment.training.continual}: adapter.merge factors was expected, not "
            f"{experiment.adapter.merge}, which gives a node other factors with every mixing"
        )
    # of all that came: a file that is gone takes back nothing that was learned from it
    adapters = records.came if merges else 1
    if len(np.unique(periods)) < 2:  # periods, or none is told
        return Sampling(adapters=adapters)
    shares = way.shares(periods)
    if shares.shape != periods.shape or not ((shares >= 0) & (shares <= 1)).all() or shares.max() != 1:
        name = experiment.training.continual
        raise ConfigError(f"training.continual {name}: shares from 0 to 1 were expected, at least one of them 1")
    return Sampling(None if (shares == 1).all() else shares, way.proximal_mu, adapters)


__all__ = ["CONTINUALS", "Continual", "Periods", "Sampling", "build_continual", "sampling_of"]
