"""noloco in whole simulations: random pairs with an outer step."""

from pathlib import Path
from typing import Any

import pytest
from tests.sim.averaging import lines
from tests.sim.training import FILES, digits, resume


def noloco(**changes: Any) -> dict[str, dict[str, Any]]:
    """Eight nodes in random pairs."""
    return digits(
        **{
            "gossip__protocol": "noloco",
            "gossip__settle_rounds": 6,
            "topology": {"schedule": "random_matching"},
            "training__phases": 20,
            "simulation__nodes": 8,
            **changes,
        }
    )


@pytest.mark.slow
def test_rate_one_without_momentum_records_what_sync_records(tmp_path: Path) -> None:
    resume(tmp_path / "here", noloco(gossip__outer_learning_rate=1.0, gossip__outer_momentum=0.0))
    resume(tmp_path / "there", noloco(gossip__protocol="sync"))
    for name in FILES:
        assert (tmp_path / "here" / "run" / name).read_bytes() == (tmp_path / "there" / "run" / name).read_bytes()


@pytest.mark.parametrize("codec", ["fp32", "int8"])
@pytest.mark.slow
def test_nodes_learn_and_agree_when_training_is_over(tmp_path: Path, codec: str) -> None:
    resume(tmp_path, noloco(gossip__codec=codec))
    recorded = lines(tmp_path)
    trained = next(line for line in recorded if line["step"] == 100)
    assert recorded[0]["mean_model_accuracy"] < 0.2
    assert recorded[-1]["mean_model_accuracy"] > 0.55
    assert recorded[-1]["consensus_distance"] < 0.5 * trained["consensus_distance"]
