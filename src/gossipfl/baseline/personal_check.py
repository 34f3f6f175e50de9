"""Where Flower's clients can have models of their own."""

from gossipfl.config.experiment import Experiment
from gossipfl.errors import ConfigError


def check_personal(experiment: Experiment, mode: str | None) -> None:
    """Refuses personal phases where a client lives for one message, and nobody would train them.

    Args:
        mode: of a trial; None in earnest.

    Raises:
        ConfigError: see above.
    """
    if experiment.personal.phases and mode != "inprocess":
        raise ConfigError(
            "personal.phases: a Flower client's process ends with its last message; own models are made by gossipfl "
            "node, gossipfl simulate and gossipfl fedavg --mode inprocess: 0 was expected"
        )
