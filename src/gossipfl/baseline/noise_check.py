"""Which noise and which strategy go together."""

from gossipfl.baseline.adapter_check import check_adapter
from gossipfl.baseline.personal_check import check_personal
from gossipfl.config.experiment import Experiment
from gossipfl.errors import ConfigError, PrivacyError

MEANS = ("FedAvg", "FedProx")
"""Strategies whose server makes the plain mean, for which central noise and its ε are reckoned."""


def check_noise(experiment: Experiment) -> None:
    """Refuses what would not protect whom it says it protects.

    Raises:
        ConfigError: noise both from the clients and from the server; a server's noise on what is no mean of equal
            weights; or a strategy that sends figures without noise.
    """
    if experiment.flower.central_noise is not None:
        _check_central(experiment)
    if experiment.flower.strategy == "QFedAvg" and experiment.privacy.level != "none":
        raise ConfigError("flower.strategy: QFedAvg sends losses on private data, which privacy.level does not cover")


def check_earnest(experiment: Experiment) -> None:
    """Refuses, besides, what is for trials only; server and clients look, each for itself.

    Raises:
        ConfigError: as `check_noise`; or noise of the server; or a strategy that wants figures on private data.
        PrivacyError: a weighting that tells, without noise, how many records there are; or protection, which a server
            that averages does without.
    """
    check_noise(experiment)
    check_adapter(experiment)
    check_personal(experiment, None)
    if experiment.flower.central_noise is not None:
        raise ConfigError(
            "flower.central_noise is for trials: its noise is seeded, and no ledger has its ε; "
            "in earnest privacy.level example or update is wanted"
        )
    if experiment.flower.strategy == "QFedAvg":
        raise ConfigError("flower.strategy: QFedAvg wants losses on private data, which no client tells in earnest")
    if experiment.protection.sums_only:
        raise PrivacyError(
            f"protection: {experiment.protection.kind} is between neighbors, and a Flower server reads every "
            "contribution: plain is wanted"
        )
    if experiment.privacy.level != "none" and experiment.flower.weighting == "examples":
        raise PrivacyError(
            "flower.weighting: examples tells how many records there are, without noise; equal is wanted"
        )


def _check_central(experiment: Experiment) -> None:
    flower = experiment.flower
    if experiment.privacy.level != "none":
        raise ConfigError("flower.central_noise: privacy.level is not none; noise comes from the clients or the server")
    # of a mean of n one client moves C/n; a weight, a server's step or a choice of clients can make more of it
    if flower.strategy not in MEANS:
        raise ConfigError(
            f"flower.central_noise: its ε is that of a plain mean, which flower.strategy {flower.strategy} does not "
            f"make; {' or '.join(MEANS)} is wanted"
        )
    if flower.weighting != "equal":
        raise ConfigError(
            f"flower.central_noise: its ε is that of clients of equal weight; flower.weighting is {flower.weighting}, "
            "equal is wanted"
        )
