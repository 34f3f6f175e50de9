"""Which noise and which strategy go together."""

from gossipfl.config.experiment import Experiment
from gossipfl.errors import ConfigError


def check_noise(experiment: Experiment) -> None:
    """Refuses what would not protect whom it says it protects.

    Raises:
        ConfigError: noise both from the clients and from the server, or a strategy that sends figures without noise.
    """
    if experiment.flower.central_noise is not None and experiment.privacy.level != "none":
        raise ConfigError("flower.central_noise: privacy.level is not none; noise comes from the clients or the server")
    if experiment.flower.strategy == "QFedAvg" and experiment.privacy.level != "none":
        raise ConfigError("flower.strategy: QFedAvg sends losses on private data, which privacy.level does not cover")
