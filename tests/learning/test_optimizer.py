from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from gossipfl.config.training import TrainingConfig
from gossipfl.errors import StateError
from gossipfl.learning.optimizer import LocalOptimizer, learning_rate

OPTIMIZERS = [
    {"optimizer": "sgd"},
    {"optimizer": "sgd", "momentum": 0.9},
    {"optimizer": "adam"},
    {"optimizer": "adamw", "weight_decay": 0.1},
]


def training(**more: Any) -> TrainingConfig:
    return TrainingConfig.model_validate({"phases": 10, "local_steps": 10, "learning_rate": 1.0, **more})


@pytest.mark.parametrize(
    ("schedule", "warmup", "expected"),
    [
        ("constant", 0, {0: 1.0, 50: 1.0, 99: 1.0}),
        ("constant", 4, {0: 0.25, 1: 0.5, 3: 1.0, 50: 1.0}),
        ("linear", 0, {0: 1.0, 50: 0.5, 99: 0.01}),
        ("linear", 20, {19: 1.0, 20: 1.0, 60: 0.5, 99: 0.0125}),
        ("cosine", 0, {0: 1.0, 25: 0.8535534, 50: 0.5, 75: 0.1464466}),
    ],
)
def test_the_rate_is_what_the_formula_says(schedule: str, warmup: int, expected: dict[int, float]) -> None:
    config = training(schedule=schedule, warmup_steps=warmup)

    assert {step: learning_rate(config, step) for step in expected} == pytest.approx(expected)


@given(
    schedule=st.sampled_from(["constant", "linear", "cosine"]),
    warmup=st.integers(0, 120),
    step=st.integers(0, 300),
)
def test_the_rate_rises_while_warming_up_and_never_after(schedule: str, warmup: int, step: int) -> None:
    config = training(schedule=schedule, warmup_steps=warmup)
    now, later = learning_rate(config, step), learning_rate(config, step + 1)

    assert 0 <= now <= 1
    assert step >= config.total_steps or now > 0
    assert now <= later if step + 1 < warmup else now >= later


def stepped(config: TrainingConfig, gradients: torch.Tensor, *, restart_at: int | None) -> torch.Tensor:
    """A parameter after one step along each gradient, perhaps with a new optimizer on the way."""
    parameter = nn.Parameter(torch.ones(3))
    optimizer = LocalOptimizer({"p": parameter}, config)
    for index, gradient in enumerate(gradients):
        if index == restart_at:
            saved = optimizer.durable()
            optimizer = LocalOptimizer({"p": parameter}, config)
            optimizer.restore(saved)
        parameter.grad = gradient.clone()
        optimizer.step(index)
        assert parameter.grad is None
    return parameter.detach()


@pytest.mark.parametrize("choice", OPTIMIZERS)
@pytest.mark.parametrize("restart_at", [0, 1, 3])
def test_restored_moments_go_on_bit_for_bit(choice: dict[str, Any], restart_at: int) -> None:
    config = training(**choice, schedule="cosine", warmup_steps=2)
    gradients = torch.from_numpy(np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32))

    assert torch.equal(stepped(config, gradients, restart_at=restart_at), stepped(config, gradients, restart_at=None))


def test_the_whole_gradient_is_clipped_where_that_is_wished() -> None:
    config = training(optimizer="sgd", max_grad_norm=1.0)

    moved = stepped(config, torch.tensor([[3.0, 0.0, 4.0]]), restart_at=None)

    torch.testing.assert_close(1 - moved, torch.tensor([0.6, 0.0, 0.8]))


def test_durable_moments_are_copies() -> None:
    parameter = nn.Parameter(torch.ones(3))
    optimizer = LocalOptimizer({"p": parameter}, training())
    parameter.grad = torch.ones(3)
    optimizer.step(0)
    saved = optimizer.durable()
    before = {name: value.copy() for name, value in saved.items()}
    parameter.grad = torch.ones(3)
    optimizer.step(1)

    assert set(saved) == {"step/p", "exp_avg/p", "exp_avg_sq/p"}
    assert all(np.array_equal(saved[name], before[name]) for name in saved)


@pytest.mark.parametrize("key", ["exp_avg/q", "exp_avg/p"])
def test_moments_of_another_adapter_are_refused(key: str) -> None:
    optimizer = LocalOptimizer({"p": nn.Parameter(torch.ones(3))}, training())

    with pytest.raises(StateError, match=f"optimizer state {key!r}"):
        optimizer.restore({key: np.zeros(2 if key.endswith("p") else 3, np.float32)})


def test_moments_that_every_phase_forgets_are_not_kept() -> None:
    parameter = nn.Parameter(torch.ones(3))
    optimizer = LocalOptimizer({"p": parameter}, training(optimizer_state="reset"))
    parameter.grad = torch.ones(3)
    optimizer.step(0)

    assert optimizer.durable() == {}
