"""Noise of a trusted server: the same plan as that of a node at level update, for the mean of all clients' updates.

Taking one client's data away takes away an update of at most C from the sum, as it takes away all of a node's own.
"""

from gossipfl.config.experiment import Experiment
from gossipfl.config.privacy import PrivacyConfig
from gossipfl.privacy.plan import Plan, make_plan


def central_plan(experiment: Experiment) -> Plan | None:
    """What the server adds, and what that costs; None without central noise.

    Raises:
        PrivacyError: no noise reaches the target, or δ is too large for so many clients.
    """
    noise = experiment.flower.central_noise
    if noise is None:
        return None
    wished = PrivacyConfig(
        level="update",
        target_epsilon=noise.target_epsilon,
        noise_multiplier=noise.noise_multiplier,
        nominal_epsilon=noise.nominal_epsilon,
        target_delta=noise.target_delta,
        max_grad_norm=noise.max_grad_norm,
    )
    return make_plan(wished, experiment.training, units=experiment.simulation.nodes)
