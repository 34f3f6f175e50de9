import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from gossipfl.errors import ConfigError
from gossipfl.privacy.account import FreeAccount
from gossipfl.privacy.mechanisms import MechanismParts, Rows, Units, build_mechanism
from gossipfl.privacy.mechanisms.none import PlainMechanism
from gossipfl.privacy.streams import SecretStream, SeededStream, Stream

UNITS = 10


def losses(module: nn.Module, tensors: Mapping[str, Tensor]) -> Tensor:
    found: Tensor = module(tensors["x"])
    return (found.squeeze(-1) - tensors["x"].sum(-1)).square()


def rows_of(unit: int) -> Tensor:
    return torch.full((1 + unit % 2, 3), float(unit)) + torch.arange(3.0)


def load(units: Units) -> Iterator[Rows]:
    for start in range(0, len(units), 2):
        parts = [rows_of(int(unit)) for unit in units[start : start + 2]]
        numbers = torch.repeat_interleave(torch.arange(len(parts)), torch.tensor([len(part) for part in parts]))
        yield Rows({"x": torch.cat(parts)}, numbers)


def parts_for(batch_size: int = 4, batches: Stream | None = None, dropout: float = 0.0) -> MechanismParts:
    torch.manual_seed(0)
    return MechanismParts(
        module=nn.Sequential(nn.Linear(3, 4), nn.Dropout(dropout), nn.Linear(4, 1)),
        losses=losses,
        load=load,
        units=UNITS,
        batch_size=batch_size,
        plan=None,
        account=FreeAccount(),
        noise=SeededStream(0, "a", "noise"),
        batches=batches or SeededStream(0, "a", "batches"),
    )


def gradients(module: nn.Module) -> Tensor:
    return torch.cat([p.grad.flatten() for p in module.parameters() if p.grad is not None])


@given(st.integers(1, 15), st.booleans(), st.integers(0, 3))
def test_every_epoch_takes_every_unit_once(batch_size: int, secret: bool, epoch: int) -> None:  # noqa: FBT001
    mechanism = PlainMechanism(parts_for(batch_size, SecretStream() if secret else None))
    per_epoch = math.ceil(UNITS / batch_size)
    batches = [mechanism.draw(step).units for step in range(epoch * per_epoch, (epoch + 1) * per_epoch)]
    assert sorted(np.concatenate(batches)) == list(range(UNITS))
    assert max(map(len, batches)) <= min(batch_size, min(map(len, batches)) + 1)


def test_the_gradient_is_that_of_the_mean_unit_loss() -> None:
    parts = parts_for()
    mechanism = PlainMechanism(parts)
    drawn = PlainMechanism(parts).draw(1).units
    mechanism.gradient(1)
    mean = torch.stack([losses(parts.module, {"x": rows_of(int(unit))}).mean() for unit in drawn]).mean()
    expected = torch.autograd.grad(mean, list(parts.module.parameters()))
    torch.testing.assert_close(gradients(parts.module), torch.cat([g.flatten() for g in expected]))


def test_a_resumed_run_repeats_batches_and_dropout_bit_for_bit() -> None:
    straight, resumed = parts_for(dropout=0.5), parts_for(dropout=0.5)
    mechanism = build_mechanism("none", straight)
    for step in range(5):
        mechanism.gradient(step)
    torch.manual_seed(9)
    build_mechanism("none", resumed).gradient(4)
    assert torch.equal(gradients(straight.module), gradients(resumed.module))


def test_the_global_generator_of_torch_is_left_alone() -> None:
    mechanism = build_mechanism("none", parts_for(dropout=0.5))
    before = torch.random.get_rng_state()
    mechanism.gradient(0)
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_receipt_says_that_there_is_no_privacy() -> None:
    receipt = build_mechanism("none", parts_for()).gradient(0)
    assert (receipt.steps, receipt.epsilon, receipt.delta) == (1, math.inf, 0.0)


def test_a_failed_step_leaves_no_gradient() -> None:
    def fail(_units: Units) -> Iterator[Rows]:
        raise OSError("disk")

    parts = replace(parts_for(), load=fail)
    with pytest.raises(OSError, match="disk"):
        build_mechanism("none", parts).gradient(0)
    assert all(parameter.grad is None for parameter in parts.module.parameters())


def test_an_unknown_level_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="example"):
        build_mechanism("exampel", parts_for())
