"""Flower's strategies by name, made from the `flower` section."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from flwr.serverapp import strategy as flower
from flwr.serverapp.strategy import DifferentialPrivacyServerSideFixedClipping, Strategy

from gossipfl.baseline.central import central_plan
from gossipfl.baseline.records import ARRAYS, CONFIG, WEIGHT
from gossipfl.baseline.strategy_options import check_counts, checked_options
from gossipfl.config.experiment import Experiment
from gossipfl.config.flower import FlowerConfig
from gossipfl.core.tables import resolve
from gossipfl.errors import ConfigError
from gossipfl.privacy.plan import Plan

STRATEGIES: Mapping[str, type[Strategy]] = {
    made.__name__: made
    for made in (
        flower.FedAvg,
        flower.FedAvgM,
        flower.FedProx,
        flower.FedAdam,
        flower.FedAdagrad,
        flower.FedYogi,
        flower.FedMedian,
        flower.FedTrimmedAvg,
        flower.Krum,
        flower.MultiKrum,
        flower.Bulyan,
        flower.QFedAvg,
    )
}
"""By the name in `flower.strategy`."""


def build_strategy(config: FlowerConfig, nodes: int, central: Plan | None, *, at_least: int | None = None) -> Strategy:
    """The strategy, in which every client that answers counts.

    Args:
        nodes: clients there are.
        central: noise of the server.
        at_least: a round waits for so many to be there; None: for all.

    Raises:
        ConfigError: there is no such strategy, it takes no such option or value, or there are too few clients for it.
    """
    made = resolve(STRATEGIES, config.strategy, field="flower.strategy")
    ours = _ours(config, nodes if at_least is None else at_least)
    options = checked_options(config.strategy, made, config.options, ours)
    check_counts(config.strategy, options, clients_in_a_round(config, nodes))
    try:
        built: Strategy = made(**ours, **options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"flower.options: {config.strategy}: {error}") from error
    if central is None:
        return built
    sampled = clients_in_a_round(config, nodes)
    # divided by the norm of an update of nothing NumPy's number is infinite, and the factor 1; Python's would raise
    norm = np.float64(central.max_grad_norm)
    return DifferentialPrivacyServerSideFixedClipping(built, central.noise_multiplier, norm, sampled)


def check_strategy(experiment: Experiment) -> None:
    """Whether there will be a strategy, asked before anything is started for it.

    Raises:
        ConfigError: see `build_strategy`.
        PrivacyError: see `central_plan`.
    """
    build_strategy(experiment.flower, experiment.simulation.nodes, central_plan(experiment))


def clients_in_a_round(config: FlowerConfig, nodes: int) -> int:
    """How many train."""
    return max(1, int(nodes * config.fraction))


def _ours(config: FlowerConfig, at_least: int) -> dict[str, Any]:
    return {
        "fraction_train": config.fraction,
        "fraction_evaluate": 1.0,
        "min_train_nodes": 1,
        "min_evaluate_nodes": at_least,
        "min_available_nodes": at_least,
        "weighted_by_key": WEIGHT,
        "arrayrecord_key": ARRAYS,
        "configrecord_key": CONFIG,
    }
