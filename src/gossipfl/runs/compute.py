"""How long a training phase takes at a node, in virtual seconds.

constant     steps · step_s · slow
log_normal   steps · step_s · slow · exp(N(0, spread²))
"""

from collections.abc import Callable, Mapping

import numpy as np

from gossipfl.config.simulation import ComputeConfig
from gossipfl.core.tables import resolve

Duration = Callable[[str, int], float]
"""(node, optimizer steps) to virtual seconds."""
BuildDuration = Callable[[ComputeConfig, np.random.Generator], Duration]


def constant(config: ComputeConfig, rng: np.random.Generator) -> Duration:  # noqa: ARG001  # nothing is drawn
    """Every step takes equally long."""
    return lambda node, steps: steps * config.step_s * config.slow.get(node, 1.0)


def log_normal(config: ComputeConfig, rng: np.random.Generator) -> Duration:
    """Phases vary as those of busy machines do: seldom much quicker, sometimes much slower."""
    return lambda node, steps: (
        steps * config.step_s * config.slow.get(node, 1.0) * float(rng.lognormal(0.0, config.spread))
    )


DURATIONS: Mapping[str, BuildDuration] = {"constant": constant, "log_normal": log_normal}
"""By the name in `simulation.compute.kind`."""


def build_duration(config: ComputeConfig, rng: np.random.Generator) -> Duration:
    """The model of the experiment.

    Raises:
        ConfigError: there is no such model.
    """
    return resolve(DURATIONS, config.kind, field="simulation.compute.kind")(config, rng)
