"""Options of Flower's strategies are checked before a strategy sees them."""

from typing import Any

import pytest

from gossipfl.baseline.strategies import STRATEGIES, build_strategy
from gossipfl.config.flower import FlowerConfig
from gossipfl.errors import ConfigError


def built(strategy: str, options: dict[str, Any], nodes: int = 4, **others: Any) -> Any:
    return build_strategy(FlowerConfig(strategy=strategy, options=options, **others), nodes, None)


@pytest.mark.parametrize(
    ("strategy", "options", "problem"),
    [
        ("FedAdam", {"eta": "abc"}, "FedAdam: eta 'abc': Input should be a valid number"),
        ("FedAdam", {"eta": float("inf")}, "FedAdam: eta inf: Input should be a finite number"),
        ("FedAdam", {"tau": 0.0}, "FedAdam: tau 0.0: Input should be greater than 0"),
        ("FedAdam", {"beta_2": 1.0}, "FedAdam: beta_2 1.0: Input should be less than 1"),
        ("FedProx", {"proximal_mu": "abc"}, "FedProx: proximal_mu 'abc': Input should be a valid number"),
        ("QFedAvg", {"client_learning_rate": 0.0}, "client_learning_rate 0.0: Input should be greater than 0"),
        ("QFedAvg", {"client_learning_rate": 0.1, "train_loss_key": "loss"}, "QFedAvg takes no 'train_loss_key'"),
        ("FedAvg", {"train_metrics_aggr_fn": "abc"}, "FedAvg takes no 'train_metrics_aggr_fn'"),
        ("Bulyan", {"selection_rule": "abc"}, "Bulyan takes no 'selection_rule'"),
        ("Krum", {"num_malicious_nodes": 0.5}, "num_malicious_nodes 0.5: Input should be a valid integer"),
        ("Krum", {"num_malicious_nodes": 9}, "Krum with num_malicious_nodes 9 needs 21 clients .*, there are 4"),
        ("Bulyan", {"num_malicious_nodes": 1}, "Bulyan with num_malicious_nodes 1 needs 7 clients .*, there are 4"),
        ("MultiKrum", {"num_nodes_to_select": 5}, "num_nodes_to_select 5, at most 4 was expected"),
    ],
)
def test_what_flower_would_take_and_stumble_over_is_refused_in_one_line(
    strategy: str, options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ConfigError, match=rf"^flower\.options: .*{problem}") as caught:
        built(strategy, options)
    assert "\n" not in str(caught.value)


def test_clients_of_a_round_are_counted_not_all() -> None:
    assert built("Bulyan", {"num_malicious_nodes": 1}, nodes=14).num_malicious_nodes == 1
    with pytest.raises(ConfigError, match=r"needs 7 clients .*, there are 5"):
        built("Bulyan", {"num_malicious_nodes": 1}, nodes=14, fraction=0.4)


def test_a_number_that_yaml_takes_for_text_is_a_number() -> None:
    assert built("FedAdam", {"eta": "1e-2"}).eta == 0.01


@pytest.mark.parametrize("strategy", sorted(set(STRATEGIES) - {"QFedAvg"}))
def test_every_strategys_defaults_pass(strategy: str) -> None:
    assert isinstance(built(strategy, {}), STRATEGIES[strategy])
