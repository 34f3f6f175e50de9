import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from scipy.stats import chi2
from torch import Tensor, nn

from gossipfl.core.messages import Receipt
from gossipfl.errors import BudgetSpentError, PrivacyError
from gossipfl.privacy.accounting import Charge
from gossipfl.privacy.mechanisms import MechanismParts, Rows, Units, build_mechanism
from gossipfl.privacy.mechanisms.example import ExampleMechanism
from gossipfl.privacy.plan import Plan
from gossipfl.privacy.streams import SecretStream, SeededStream

UNITS = 12
PLAN = Plan("example", 0.5, 1e-12, 0.1, 1e-5, 10, UNITS, None, float("inf"), "prv")


@dataclass
class BookAccount:
    """An account in memory that writes down when it was charged."""

    events: list[str] = field(default_factory=list)
    limit: int = 1000

    def charge(self, charge: Charge) -> Receipt:
        if len(self.charges()) >= self.limit:
            raise BudgetSpentError("spent")
        self.events.append(f"charge {charge.steps}")
        return self.receipt()

    def receipt(self) -> Receipt:
        return Receipt(steps=len(self.charges()), charges=len(self.charges()))

    def charges(self) -> tuple[Charge, ...]:
        return tuple(Charge(0.5, 1.0) for event in self.events if event.startswith("charge"))

    def require(self, receipt: Receipt) -> None:
        assert receipt.charges <= len(self.charges())


def network() -> nn.Module:
    torch.manual_seed(3)
    frozen = nn.Linear(5, 4)
    frozen.requires_grad_(requires_grad=False)
    return nn.Sequential(frozen, nn.Tanh(), nn.LayerNorm(4), nn.Linear(4, 3, bias=False), nn.Linear(3, 1))


@dataclass
class Data:
    """Units of 1, 2 or 3 rows."""

    micro_batch: int = 4
    events: list[str] = field(default_factory=list)
    scale: float = 1.0
    absent: int | None = None
    x: Tensor = field(default_factory=lambda: torch.from_numpy(np.random.default_rng(5).normal(size=(UNITS, 3, 5))))

    def rows(self, unit: int) -> Tensor:
        return (self.scale * self.x[unit, : 1 + unit % 3]).float()

    def load(self, units: Units) -> Iterator[Rows]:
        self.events.append(f"load {len(units)}")
        units = units[units != self.absent] if self.absent is not None else units
        for start in range(0, len(units), self.micro_batch):
            parts = [self.rows(int(unit)) for unit in units[start : start + self.micro_batch]]
            numbers = torch.repeat_interleave(torch.arange(len(parts)), torch.tensor([len(part) for part in parts]))
            yield Rows({"x": torch.cat(parts)}, numbers)


def losses(module: nn.Module, tensors: Mapping[str, Tensor]) -> Tensor:
    found: Tensor = module(tensors["x"])
    return (found.squeeze(-1) - 1).square()


def nothing_to_learn(module: nn.Module, tensors: Mapping[str, Tensor]) -> Tensor:
    found: Tensor = module(tensors["x"].repeat(1, 60))
    return 0.0 * found.sum(-1)


def parts_for(data: Data, module: nn.Module | None = None, plan: Plan = PLAN) -> MechanismParts:
    return MechanismParts(
        module=module or network(),
        losses=losses,
        load=data.load,
        units=UNITS,
        batch_size=6,
        plan=plan,
        account=BookAccount(data.events),
        noise=SeededStream(0, "a", "noise"),
        batches=SeededStream(0, "a", "batches"),
    )


def trained(module: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def gradients(module: nn.Module) -> Tensor:
    found = [parameter.grad for parameter in trained(module)]
    return torch.cat([gradient.flatten() for gradient in found if gradient is not None])


def one_by_one(module: nn.Module, data: Data, units: Units, plan: Plan) -> Tensor:
    """The formula of DP-SGD without noise, by plain backpropagation of one unit at a time."""
    total = torch.zeros(sum(parameter.numel() for parameter in trained(module)), dtype=torch.float64)
    for unit in units:
        loss = losses(module, {"x": data.rows(int(unit))}).mean()
        flat = torch.cat([g.flatten() for g in torch.autograd.grad(loss, trained(module))]).double()
        total += flat * min(1.0, plan.max_grad_norm / float(flat.norm()))
    return total / plan.expected_batch


@pytest.mark.parametrize("clip", [0.1, 3.0, 1e6])
def test_without_noise_it_is_the_expected_mean_of_clipped_unit_gradients(clip: float) -> None:
    data, plan = Data(), replace(PLAN, max_grad_norm=clip, noise_multiplier=1e-12)
    parts = parts_for(data, plan=plan)
    mechanism = build_mechanism("example", parts)
    for step in range(4):
        drawn = np.flatnonzero(SeededStream(0, "a", "batches").at(step).uniform(UNITS) < plan.sample_rate)
        mechanism.gradient(step)
        expected = one_by_one(parts.module, data, drawn, plan)
        assert float((gradients(parts.module) - expected).abs().max()) < 1e-5


@pytest.mark.parametrize("micro_batch", [1, 2, 3, 12])
def test_the_micro_batch_changes_nothing(micro_batch: int) -> None:
    reference, other = parts_for(Data(5)), parts_for(Data(micro_batch))
    for step in range(3):
        build_mechanism("example", reference).gradient(step)
        build_mechanism("example", other).gradient(step)
        torch.testing.assert_close(gradients(reference.module), gradients(other.module), rtol=0, atol=1e-6)


@pytest.mark.parametrize("left_out", range(0, UNITS, 5))
def test_one_unit_moves_the_sum_by_the_clipping_norm_at_most(left_out: int) -> None:
    plan = replace(PLAN, sample_rate=1.0, max_grad_norm=0.7)

    def total(data: Data) -> Tensor:
        parts = parts_for(data, plan=plan)
        build_mechanism("example", parts).gradient(0)
        return gradients(parts.module) * plan.expected_batch

    whole, others = total(Data(scale=1e3)), total(Data(scale=1e3, absent=left_out))
    assert 0.69 <= float((whole - others).norm()) <= 0.7 * (1 + 1e-4), "a huge gradient is clipped to the norm"


def test_the_account_is_charged_before_anything_is_loaded() -> None:
    data = Data()
    build_mechanism("example", parts_for(data, plan=replace(PLAN, sample_rate=1.0))).gradient(0)
    assert data.events == ["charge 1", "load 12"]


def test_a_spent_account_leaves_the_data_alone() -> None:
    data = Data()
    parts = replace(parts_for(data), account=BookAccount(data.events, limit=0))
    mechanism = build_mechanism("example", parts)
    with pytest.raises(BudgetSpentError):
        mechanism.gradient(0)
    assert data.events == []
    assert all(parameter.grad is None for parameter in trained(parts.module))


def test_an_empty_batch_is_charged_and_is_pure_noise() -> None:
    data, plan = Data(), replace(PLAN, sample_rate=1e-9, noise_multiplier=2.0)
    parts = parts_for(data, plan=plan)
    receipt = build_mechanism("example", parts).gradient(0)
    assert receipt.charges == 1
    assert data.events == ["charge 1"]
    noise = SeededStream(0, "a", "noise").at(0)
    expected = [
        noise.normal(parameter.numel()) * 2.0 * 0.1 / plan.expected_batch for parameter in trained(parts.module)
    ]
    np.testing.assert_allclose(gradients(parts.module).numpy(), np.concatenate(expected), rtol=1e-6)


def test_the_noise_has_the_deviation_that_the_account_was_charged_for() -> None:
    wide = nn.Linear(300, 300)
    plan = replace(PLAN, sample_rate=0.25, noise_multiplier=1.7, max_grad_norm=0.4)
    parts = replace(
        parts_for(Data(), wide, plan),
        losses=nothing_to_learn,
        noise=SecretStream(),
    )
    build_mechanism("example", parts).gradient(0)
    values = gradients(wide).double().numpy() / (1.7 * 0.4 / (0.25 * UNITS))
    square = float((values**2).sum())
    assert float(chi2.ppf(1e-7, len(values))) < square < float(chi2.ppf(1 - 1e-7, len(values)))
    assert abs(values.mean()) < 6 / np.sqrt(len(values))


def test_equal_seed_and_data_publish_different_noise_whatever_torch_is_seeded_with() -> None:
    found = []
    for _ in range(2):
        torch.manual_seed(0)
        plan = replace(PLAN, noise_multiplier=1.0, sample_rate=1.0)
        parts = replace(parts_for(Data(), plan=plan), noise=SecretStream(), batches=SecretStream())
        torch.manual_seed(0)
        build_mechanism("example", parts).gradient(0)
        found.append(gradients(parts.module))
    assert not np.intersect1d(found[0].numpy(), found[1].numpy()).size


def test_seeded_streams_repeat_a_step_bit_for_bit_however_it_is_reached() -> None:
    straight, resumed = parts_for(Data()), parts_for(Data())
    mechanism = build_mechanism("example", straight)
    for step in range(3):
        mechanism.gradient(step)
    torch.manual_seed(99)
    build_mechanism("example", resumed).gradient(2)
    assert torch.equal(gradients(straight.module), gradients(resumed.module))


def test_a_parameter_that_takes_no_part_gets_its_noise() -> None:
    module = nn.ModuleDict({"used": network(), "idle": nn.Linear(2, 2)})
    parts = replace(
        parts_for(Data(), module, replace(PLAN, noise_multiplier=1.0)),
        losses=lambda _module, tensors: losses(module["used"], tensors),
    )
    build_mechanism("example", parts).gradient(0)
    assert all(p.grad is not None and bool((p.grad != 0).all()) for p in module["idle"].parameters())


def test_a_layer_whose_result_is_thrown_away_disturbs_no_later_step() -> None:
    class Wasteful(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kept = nn.Linear(5, 1)
            self.wasted = nn.Linear(5, 1)

        def forward(self, x: Tensor) -> Tensor:
            self.wasted(x)
            kept: Tensor = self.kept(x)
            return kept

    torch.manual_seed(0)
    data, module, plan = Data(), Wasteful(), replace(PLAN, sample_rate=1.0)
    mechanism = build_mechanism("example", parts_for(data, module, plan))
    module.wasted.requires_grad_(requires_grad=True)
    for step in range(3):
        mechanism.gradient(step)
        kept = torch.cat([p.grad.flatten() for p in module.kept.parameters() if p.grad is not None])
        module.wasted.requires_grad_(requires_grad=False)
        expected = one_by_one(module, data, np.arange(UNITS), plan)
        module.wasted.requires_grad_(requires_grad=True)
        assert float((kept - expected).abs().max()) < 1e-5


def test_values_that_are_not_finite_never_reach_the_gradient() -> None:
    data = Data()
    data.x[3] = float("nan")
    data.x[5] = 1e38
    parts = parts_for(data, plan=replace(PLAN, sample_rate=1.0))
    build_mechanism("example", parts).gradient(0)
    assert bool(torch.isfinite(gradients(parts.module)).all())


def test_a_failed_step_leaves_no_gradient_and_the_next_one_is_right() -> None:
    data = Data()
    plan = replace(PLAN, sample_rate=1.0)

    def break_down(module: nn.Module, tensors: Mapping[str, Tensor]) -> Tensor:
        values = losses(module, tensors)
        if broken:
            raise RuntimeError("out of memory")
        return values

    parts = replace(parts_for(data, plan=plan), losses=break_down)
    mechanism = build_mechanism("example", parts)
    broken = True
    with pytest.raises(RuntimeError):
        mechanism.gradient(0)
    assert all(parameter.grad is None for parameter in trained(parts.module))
    broken = False
    mechanism.gradient(1)
    expected = one_by_one(parts.module, data, np.arange(UNITS), plan)
    assert float((gradients(parts.module) - expected).abs().max()) < 1e-5


def test_dropout_is_off_and_evaluation_in_between_does_no_harm() -> None:
    torch.manual_seed(1)
    module = nn.Sequential(nn.Linear(5, 8), nn.Dropout(0.5), nn.Linear(8, 1))
    data, plan = Data(), replace(PLAN, sample_rate=1.0)
    parts = parts_for(data, module, plan)
    mechanism = build_mechanism("example", parts)
    for step in range(2):
        module.eval()
        module(torch.zeros(2, 5))  # with gradients on: its activations must not be taken for a batch's
        mechanism.gradient(step)
        module.eval()
        assert float((gradients(module) - one_by_one(module, data, np.arange(UNITS), plan)).abs().max()) < 1e-5


def test_unit_gradients_are_freed_after_every_micro_batch() -> None:
    data, seen = Data(3), list[weakref.ref[Tensor]]()
    parts = parts_for(data, plan=replace(PLAN, sample_rate=1.0))

    def watch(module: nn.Module, tensors: Mapping[str, Tensor]) -> Tensor:
        assert all(reference() is None for reference in seen)
        return losses(module, tensors)

    mechanism = ExampleMechanism(replace(parts, losses=watch))
    source = mechanism._source
    compute = source.unit_gradients

    def compute_and_watch(rows: Rows) -> Sequence[Tensor]:
        found = compute(rows)
        seen.extend(weakref.ref(gradient) for gradient in found)
        assert sum(gradient.numel() for gradient in found) <= 3 * sum(p.numel() for p in trained(parts.module))
        return found

    source.unit_gradients = compute_and_watch  # type: ignore[method-assign]
    mechanism.gradient(0)
    assert len(seen) == 4 * len(trained(parts.module))


def test_only_trained_parameters_carry_anything_and_closing_takes_it_off() -> None:
    parts = parts_for(Data(), plan=replace(PLAN, sample_rate=1.0))
    mechanism = ExampleMechanism(parts)
    mechanism.gradient(0)
    assert not any(hasattr(p, "grad_sample") for p in parts.module.parameters() if not p.requires_grad)
    mechanism.close()
    assert not any(hasattr(p, "grad_sample") for p in parts.module.parameters())
    assert not any(layer._forward_hooks or layer._backward_hooks for layer in parts.module.modules())


def test_it_needs_a_plan() -> None:
    with pytest.raises(PrivacyError, match="plan"):
        build_mechanism("example", replace(parts_for(Data()), plan=None))
