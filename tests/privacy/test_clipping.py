"""Flat, per layer, and to a norm that follows a quantile: what one unit can move, by both engines."""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.privacy.test_example_mechanism import PLAN, UNITS, Data, gradients, losses, network, parts_for, trained
from torch import Tensor, nn

from gossipfl.config.privacy import PrivacyConfig
from gossipfl.config.training import TrainingConfig
from gossipfl.errors import PrivacyError
from gossipfl.privacy.clipping_norm import Adapting, Clipping, ClippingNorm, gradient_noise
from gossipfl.privacy.grouped.gradients import GroupedGradients
from gossipfl.privacy.grouped.seam import Group
from gossipfl.privacy.mechanisms import Mechanism, MechanismParts, build_mechanism
from gossipfl.privacy.plan import Plan, make_plan
from gossipfl.privacy.sources import ENGINES, Engine
from gossipfl.privacy.sources.clip import Clip, ShortUnits
from gossipfl.privacy.sources.seam import zeros_for

C = 0.7
FULL = replace(PLAN, sample_rate=1.0, max_grad_norm=C)
ENGINE_NAMES: list[Engine] = ["hooks", "grouped"]
engines = pytest.mark.parametrize("engine", ENGINE_NAMES)


def clipping(plan: Plan, *, per_layer: bool = False, adapting: Adapting | None = None, noise: float = 1e-12) -> Plan:
    return replace(plan, clipping=Clipping(plan.max_grad_norm, noise, per_layer, adapting))


def made(engine: Engine, data: Data, plan: Plan) -> tuple[Mechanism, MechanismParts]:
    parts = parts_for(data, plan=plan)
    parts = replace(parts, source=ENGINES[engine](parts.module, parts.losses))
    return build_mechanism("example", parts), parts


def total(engine: Engine, data: Data, plan: Plan) -> Tensor:
    """Sum of the clipped gradients."""
    mechanism, parts = made(engine, data, plan)
    mechanism.gradient(0)
    return gradients(parts.module) * plan.expected_batch


def unit_gradients(module: nn.Module, data: Data, unit: int) -> list[Tensor]:
    return list(torch.autograd.grad(losses(module, {"x": data.rows(unit)}).mean(), trained(module)))


# ---- per layer ----


@engines
@pytest.mark.parametrize("scale", [0.1, 1.0, 1e3])
def test_per_layer_cuts_each_parameter_to_an_equal_share_of_the_norm(engine: Engine, scale: float) -> None:
    data, module = Data(scale=scale), network()
    share = C / math.sqrt(len(trained(module)))
    expected = zeros_for(module)
    for unit in range(UNITS):
        cut = [g * min(1.0, share / float(g.norm())) for g in unit_gradients(module, data, unit)]
        expected += torch.cat([g.flatten() for g in cut])
    found = total(engine, data, clipping(FULL, per_layer=True))
    assert float((found - expected).norm()) <= 1e-4 * float(expected.norm())


@engines
@pytest.mark.parametrize("per_layer", [False, True])
@pytest.mark.parametrize("left_out", [0, 5, 11])
def test_a_unit_moves_the_sum_by_the_norm_at_most(engine: Engine, per_layer: bool, left_out: int) -> None:  # noqa: FBT001
    plan = clipping(FULL, per_layer=per_layer)
    whole, others = (total(engine, Data(scale=1e3, absent=absent), plan) for absent in (None, left_out))
    moved = float((whole - others).norm())
    assert 0.5 * C < moved <= C * (1 + 1e-4)


@engines
def test_what_rests_has_no_share_of_the_norm(engine: Engine) -> None:
    module, data = network(), Data(scale=1e3)
    source = ENGINES[engine](module, losses)
    resting = frozenset({0, 2})
    count = len(trained(module))
    (rows,) = Data(UNITS, scale=1e3).load(np.arange(1))
    found = zeros_for(module)
    source.add(rows, Clip(C, per_layer=True), found, resting)
    share = C / math.sqrt(count - len(resting))
    cut = [
        g * 0 if place in resting else g * min(1.0, share / float(g.norm()))
        for place, g in enumerate(unit_gradients(module, data, 0))
    ]
    torch.testing.assert_close(found, torch.cat([g.flatten() for g in cut]), rtol=1e-4, atol=1e-6)


def test_groups_of_either_kind_go_together() -> None:
    module = network()
    (rows,) = Data(UNITS, scale=1e3).load(np.arange(3))
    kinds = [Clip(C, per_layer=True), Clip(C), None]
    together = GroupedGradients(module, losses).sums([Group(None, rows, kind) for kind in kinds])
    for kind, found in zip(kinds, together, strict=True):
        (alone,) = GroupedGradients(module, losses).sums([Group(None, rows, kind)])
        torch.testing.assert_close(found, alone, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(together[0], together[1], rtol=1e-2)


# ---- a norm that follows ----


@given(st.floats(0.01, 100), st.floats(0.51, 100))
def test_gradients_and_count_together_cost_what_is_charged(noise: float, ratio: float) -> None:
    count_noise = noise * ratio
    of_gradients = gradient_noise(noise, count_noise)
    assert of_gradients > noise
    # the source's theorem 1: (z_Δ⁻² + (2σ_b)⁻²)^(-1/2)
    assert (of_gradients**-2 + (2 * count_noise) ** -2) ** -0.5 == pytest.approx(noise, rel=1e-9)
    # one unit moves the gradients by C and the count by ½, in deviations of their noises
    assert math.hypot(1 / of_gradients, 0.5 / count_noise) == pytest.approx(1 / noise, rel=1e-9)


@given(st.floats(0.1, 10), st.floats(0.01, 0.5))
def test_a_count_that_alone_costs_more_than_the_step_is_refused(noise: float, ratio: float) -> None:
    with pytest.raises(PrivacyError, match="clipping_count_noise"):
        gradient_noise(noise, noise * ratio)


ADAPTING = Adapting(quantile=0.5, learning_rate=0.3, count_noise=1e-9)


@engines
@pytest.mark.parametrize("micro_batch", [1, 4, 12])
def test_the_units_no_longer_than_the_norm_are_counted_once(engine: Engine, micro_batch: int) -> None:
    data, module = Data(micro_batch), network()
    norms = [
        float(torch.cat([g.flatten() for g in unit_gradients(module, data, unit)]).norm()) for unit in range(UNITS)
    ]
    source, short = ENGINES[engine](module, losses), ShortUnits()
    for rows in data.load(np.arange(UNITS)):
        source.add(rows, Clip(float(np.median(norms)), short=short), zeros_for(module))
    assert short.count == UNITS / 2


def test_a_pass_that_fails_and_is_tried_again_counts_nobody_twice() -> None:
    fails = [True]

    def once(module: nn.Module, tensors: Mapping[str, Tensor]) -> Tensor:
        if fails.pop() if fails else False:
            raise MemoryError
        return losses(module, tensors)

    (rows,) = Data(UNITS).load(np.arange(UNITS))
    clips = [Clip(1e9, short=ShortUnits()), Clip(1e-9, short=ShortUnits())]
    groups = [Group(None, rows, clip) for clip in clips]
    many = GroupedGradients(network(), once)
    with pytest.raises(MemoryError):
        many.sums(groups)
    many.sums(groups)
    assert [clip.short.count for clip in clips if clip.short] == [UNITS, 0]


@engines
def test_the_norm_finds_the_quantile_from_far_above_and_below(engine: Engine) -> None:
    module = network()
    norms = [
        float(torch.cat([g.flatten() for g in unit_gradients(module, Data(), unit)]).norm()) for unit in range(UNITS)
    ]
    for start in (1e-2, 1e2):
        plan = clipping(replace(FULL, max_grad_norm=start), adapting=ADAPTING)
        mechanism, _ = made(engine, Data(), plan)
        for step in range(120):
            mechanism.gradient(step)
        (found,) = mechanism.durable().values()
        low, high = np.quantile(norms, [0.35, 0.65])
        assert 0.9 * low <= found <= 1.1 * high


@engines
def test_the_noise_is_that_of_the_clip_that_the_sum_was_made_with(engine: Engine) -> None:
    adapting = Adapting(0.5, 1.0, 3.0)
    plan = clipping(replace(PLAN, sample_rate=1e-9, noise_multiplier=2.0), adapting=adapting, noise=2.5)
    mechanism, parts = made(engine, Data(), plan)
    norm = plan.max_grad_norm
    for step in range(3):
        mechanism.gradient(step)
        noise = parts.noise.at(step)
        size = zeros_for(parts.module).numel()
        expected = noise.normal(size) * 2.5 * norm / plan.expected_batch
        np.testing.assert_allclose(gradients(parts.module).numpy(), expected, rtol=1e-6)
        # an empty batch: the count is its noise alone
        share = 0.5 + 3.0 * noise.normal(1)[0] / plan.expected_batch
        norm *= math.exp(-(min(max(share, 0.0), 1.0) - 0.5))
        (kept,) = mechanism.durable().values()
        assert kept == pytest.approx(norm, rel=1e-6)


def test_a_resumed_run_goes_on_with_the_norm_bit_for_bit() -> None:
    adapting = Adapting(0.5, 0.2, 1.0)
    plan = clipping(replace(FULL, noise_multiplier=1.0), adapting=adapting, noise=1.1)
    straight, parts = made("grouped", Data(), plan)
    for step in range(4):
        straight.gradient(step)
        if step == 2:
            kept: dict[str, NDArray[np.float32]] = straight.durable()
    resumed, others = made("grouped", Data(), plan)
    resumed.restore({**kept, "exp_avg/vector": np.zeros(3, np.float32)})
    resumed.gradient(3)
    assert torch.equal(gradients(parts.module), gradients(others.module))
    assert straight.durable() == resumed.durable()


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_a_saved_norm_that_is_none_is_refused(value: float) -> None:
    with pytest.raises(PrivacyError, match="clipping norm"):
        ClippingNorm(Clipping(1.0, 1.0)).restore(np.float32(value))


def test_without_a_quantile_nothing_is_counted_or_kept() -> None:
    mechanism, _ = made("grouped", Data(), FULL)
    drawn = mechanism.draw(0)
    assert drawn.clip == Clip(C)
    assert mechanism.durable() == {}


# ---- the plan ----


def plan_of(**privacy: object) -> Plan:
    config = PrivacyConfig.model_validate({"level": "example", "noise_multiplier": 1.5, **privacy})
    return make_plan(config, TrainingConfig(phases=2, local_steps=5, batch_size=100), units=1000)


def test_adapting_has_its_share_of_epsilon_and_the_charge_stays() -> None:
    fixed, follows = plan_of(), plan_of(clipping_quantile=0.5)
    assert (follows.epsilon, follows.noise_multiplier) == (fixed.epsilon, fixed.noise_multiplier)
    assert follows.charge() == fixed.charge()
    assert follows.clips.gradient_noise == pytest.approx((1.5**-2 - 10**-2) ** -0.5)
    assert fixed.clips.gradient_noise == 1.5


def test_a_small_batch_counts_with_as_much_noise_as_its_gradients_have() -> None:
    config = PrivacyConfig(level="example", noise_multiplier=2.0, clipping_quantile=0.5)
    found = make_plan(config, TrainingConfig(phases=2, local_steps=5, batch_size=4), units=1000)
    assert found.clips.gradient_noise == pytest.approx(2.0 / math.sqrt(0.75))
    with pytest.raises(PrivacyError, match=r"clipping_count_noise 0\.9"):
        plan_of(clipping_quantile=0.5, noise_multiplier=2.0, clipping_count_noise=0.9)


@pytest.mark.parametrize(
    ("privacy", "word"),
    [
        ({"level": "update", "clipping": "per_layer"}, "level update"),
        ({"level": "update", "clipping_quantile": 0.5}, "level update"),
        ({"clipping": "per_layer", "clipping_quantile": 0.5}, "clipping flat was expected"),
        ({"clipping_count_noise": 1.0}, "clipping_quantile"),
        ({"clipping_quantile": 1.0}, "less than 1"),
    ],
)
def test_what_does_not_go_together_is_refused(privacy: dict[str, object], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        plan_of(**privacy)
