"""ε of a node follows from its own sampling, noise and steps, and from nothing that the network does."""

import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sim.training import NOISE, UPDATE, digits, play

LEVELS: Mapping[str, Mapping[str, Any]] = {
    "example": {**NOISE, "target_delta": 1e-5},
    "update": {**UPDATE, "target_delta": 1e-5},
    "correlated": {**UPDATE, "level": "correlated", "pair_noise_multiplier": 1.0, "target_delta": 1e-5},
}
NODES = 4
KEPT: Mapping[str, Any] = {"training__phases": 2, "training__local_steps": 3, "simulation__nodes": NODES}


def spent(level: str, changes: Mapping[str, Any]) -> dict[str, tuple[dict[tuple[float, float], int], float]]:
    """By node, what was charged and its exact ε."""
    with tempfile.TemporaryDirectory() as folder:
        played = play(Path(folder), digits(privacy=dict(LEVELS[level]), **KEPT, **changes))
    accounts = played.training.crew.simulated  # type: ignore[attr-defined]
    return {name: (account.state()[0], account.epsilon()) for name, account in accounts.items()}


@cache
def alone(level: str) -> dict[str, tuple[dict[tuple[float, float], int], float]]:
    """What it costs in a network that loses nothing, one exchange a phase."""
    return spent(level, {"gossip": {"protocol": "sync", "settle_rounds": 0, "deadline_s": 5.0, "linger_s": 5.0}})


networks = st.fixed_dictionaries(
    {
        "gossip": st.fixed_dictionaries(
            {
                "protocol": st.sampled_from(["sync", "wait_free", "pairwise", "push_sum", "alone"]),
                "settle_rounds": st.integers(0, 6),
                "codec": st.sampled_from(["fp32", "int8"]),
                "deadline_s": st.just(5.0),
                "linger_s": st.just(5.0),
            }
        ),
        "topology": st.fixed_dictionaries({"kind": st.sampled_from(["ring", "complete", "star", "path"])}),
        "simulation__links": st.fixed_dictionaries(
            {"latency_s": st.sampled_from([0.0, 0.5]), "loss": st.sampled_from([0.0, 0.3, 0.9])}
        ),
    }
)


@settings(max_examples=8, deadline=None)
@given(st.sampled_from(["example", "update"]), networks)
def test_neither_rounds_nor_loss_nor_neighbors_nor_codec_change_what_a_node_pays(
    level: str, network: dict[str, Any]
) -> None:
    assert spent(level, network) == alone(level)


@pytest.mark.parametrize("rounds", [1, 3])
@pytest.mark.parametrize("loss", [0.0, 0.5])
def test_at_level_correlated_the_account_does_not_depend_on_them_either(rounds: int, loss: float) -> None:
    gossip = {"protocol": "sync", "settle_rounds": 2, "rounds_per_phase": rounds, "deadline_s": 5.0, "linger_s": 5.0}
    found = spent("correlated", {"gossip": gossip, "simulation__links": {"latency_s": 0.1, "loss": loss}})
    assert found == alone("correlated") == alone("update")


def test_more_steps_and_less_noise_do_change_it() -> None:
    """The test above can fail."""
    (_, before), *_ = alone("example").values()
    changed = dict(LEVELS["example"], noise_multiplier=0.8)
    with tempfile.TemporaryDirectory() as folder:
        played = play(Path(folder), digits(privacy=changed, **KEPT))
    assert min(each.epsilon() for each in played.training.crew.simulated.values()) > before  # type: ignore[attr-defined]
