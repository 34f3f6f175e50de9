from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from gossipfl.errors import PrivacyError
from gossipfl.privacy.account import FreeAccount
from gossipfl.privacy.mechanisms import MechanismParts, Rows, Units, build_mechanism
from gossipfl.privacy.plan import Plan
from gossipfl.privacy.rows import row_losses
from gossipfl.privacy.self_check import check_per_sample_gradients
from gossipfl.privacy.streams import SecretStream

ROWS = Rows({"x": torch.linspace(-1, 1, 20).reshape(4, 5).square()}, torch.arange(4))


def losses(module: nn.Module, tensors: Mapping[str, Tensor]) -> Tensor:
    values = module(tensors["x"])
    means: Tensor = values.reshape(len(values), -1).mean(-1)
    return (means - 1).square()


def build(*layers: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 4), *layers, nn.Linear(4, 1))


class Mixing(nn.Module):
    """Centers the batch, without any layer that could be known by name."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        inner: Tensor = self.inner(x)
        return inner - inner.mean(0)


class WasteAfterUse(nn.Module):
    """Uses one layer twice, the second time for nothing: the hook pairs the wrong input with the gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        kept: Tensor = self.inner(x)
        self.inner(2 * x + 1)
        return kept


class Hidden(nn.Module):
    """A layer whose weight is used without the layer being called: no hook ever fires."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.inner.weight.T


class Random(nn.Module):
    """A trained layer with dropout of its own, which `eval` of its container does not reach."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(5))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(x * self.weight, 0.5, training=self.training)


class Reused(nn.Module):
    """Uses one layer twice, both times in earnest: known to Opacus."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(5, 5)

    def forward(self, x: Tensor) -> Tensor:
        twice: Tensor = self.inner(torch.tanh(self.inner(x)))
        return twice


class ZeroStart(nn.Module):
    """LoRA at its start, with a hook on A that can be made wrong: B = 0 hides A's gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.A, self.B = Hidden(), nn.Linear(3, 3, bias=False)
        nn.init.zeros_(self.B.weight)

    def forward(self, x: Tensor) -> Tensor:
        adapted: Tensor = self.B(self.A(x))
        return adapted


@pytest.mark.parametrize(
    "make", [build, lambda: build(nn.LayerNorm(4), nn.GELU()), Reused], ids=["mlp", "norm", "reused"]
)
def test_right_gradients_pass(make: Callable[[], nn.Module]) -> None:
    check_per_sample_gradients(make(), losses, ROWS)


@pytest.mark.parametrize("make", [Mixing, WasteAfterUse, Hidden, ZeroStart])
def test_wrong_gradients_are_refused_in_one_line(make: type[nn.Module]) -> None:
    torch.manual_seed(0)
    with pytest.raises(PrivacyError, match=r"inner\.weight|weight is") as refused:
        check_per_sample_gradients(make(), losses, ROWS)
    assert "\n" not in str(refused.value)


def test_a_trained_layer_that_is_random_is_refused() -> None:
    with pytest.raises(PrivacyError, match="random"):
        check_per_sample_gradients(Random(), losses, ROWS)


@pytest.mark.parametrize("trainable", [True, False])
def test_batch_norm_is_refused_by_name(*, trainable: bool) -> None:
    module = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4).requires_grad_(trainable))
    with pytest.raises(PrivacyError, match="layer 1 is a BatchNorm1d"):
        check_per_sample_gradients(module, losses, ROWS)
    with pytest.raises(PrivacyError, match="layer 1 is a BatchNorm1d"):
        build_mechanism("example", parts_for(module))


def parts_for(module: nn.Module) -> MechanismParts:
    def load(_units: Units) -> Iterator[Rows]:
        yield ROWS

    plan = Plan("example", 1.0, 1.0, 1.0, 1e-5, 1, 4, None, 1.0, "prv")
    secret = SecretStream()
    return MechanismParts(module, losses, load, 4, 4, plan, FreeAccount(), secret, secret)


def test_a_layer_that_keeps_running_statistics_is_refused() -> None:
    module = nn.Sequential(
        nn.Linear(5, 4), nn.Unflatten(1, (2, 2)), nn.InstanceNorm1d(2, affine=True, track_running_stats=True)
    )
    with pytest.raises(PrivacyError, match="InstanceNorm"):
        check_per_sample_gradients(module, losses, ROWS)


def test_a_loss_that_mixes_rows_is_refused() -> None:
    def mixing(module: nn.Module, tensors: Mapping[str, Tensor]) -> Tensor:
        values = losses(module, tensors)
        return values / values.detach().sum()

    with pytest.raises(PrivacyError, match="per-sample gradients are wrong"):
        check_per_sample_gradients(build(), mixing, ROWS)


def test_a_loss_that_is_not_finite_is_refused() -> None:
    with pytest.raises(PrivacyError):
        check_per_sample_gradients(build(), losses, replace(ROWS, tensors={"x": ROWS.tensors["x"] * float("nan")}))


def test_a_single_example_is_too_little_to_check() -> None:
    with pytest.raises(PrivacyError, match="2 examples, got 1"):
        check_per_sample_gradients(build(), losses, ROWS.row(0))


@pytest.mark.parametrize("make", [build, Mixing])
def test_the_module_is_left_bit_for_bit_as_it_was(make: Callable[[], nn.Module]) -> None:
    module = make()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    try:
        check_per_sample_gradients(module, losses, ROWS)
    except PrivacyError:
        assert make is Mixing
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
    assert all(parameter.grad is None and not hasattr(parameter, "grad_sample") for parameter in module.parameters())
    assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in module.modules())


def test_a_mechanism_can_be_built_after_the_check() -> None:
    module = build()
    check_per_sample_gradients(module, losses, ROWS)
    build_mechanism("example", parts_for(module)).gradient(0)
    assert all(parameter.grad is not None for parameter in module.parameters())


def test_a_task_with_the_wrong_number_of_losses_is_a_bug() -> None:
    with pytest.raises(ValueError, match="one loss a row"):
        row_losses(lambda _module, tensors: tensors["x"], build(), ROWS)
