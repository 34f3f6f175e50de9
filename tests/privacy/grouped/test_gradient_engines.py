"""The two engines of unit gradients are one mechanism."""

import logging
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from opacus.optimizers import DPOptimizer
from tests.privacy.test_example_mechanism import PLAN, UNITS, Data, gradients, losses, network, one_by_one, parts_for
from tests.privacy.test_self_check import ROWS
from tests.privacy.test_transformers_gradients import built, data, t5, translation
from torch import Tensor, nn

from gossipfl.errors import PrivacyError
from gossipfl.privacy.grouped.gradients import GroupedGradients
from gossipfl.privacy.grouped.seam import Group
from gossipfl.privacy.mechanisms import MechanismParts, build_mechanism
from gossipfl.privacy.mechanisms.example import ExampleMechanism
from gossipfl.privacy.self_check import choose_engine
from gossipfl.privacy.sources import ENGINES
from gossipfl.privacy.sources.clip import Clip
from gossipfl.privacy.sources.clipping import add_clipped
from gossipfl.privacy.streams import SeededStream


def by(engine: str, found: MechanismParts) -> MechanismParts:
    return replace(found, source=ENGINES[engine](found.module, found.losses))  # type: ignore[index]


def parts(engine: str, **plan: float) -> MechanismParts:
    return by(engine, parts_for(Data(), plan=replace(PLAN, **plan)))  # type: ignore[arg-type]


@pytest.mark.parametrize("clip", [0.1, 1e6])
def test_hooks_and_groups_take_the_same_step_for_the_same_seeds(clip: float) -> None:
    hooks, grouped = (parts(engine, noise_multiplier=0.7, max_grad_norm=clip) for engine in ("hooks", "grouped"))
    for step in range(4):
        build_mechanism("example", hooks).gradient(step)
        build_mechanism("example", grouped).gradient(step)
        expected = gradients(hooks.module)
        assert float((gradients(grouped.module) - expected).norm()) <= 1e-5 * float(expected.norm())


@pytest.mark.parametrize("engine", ["hooks", "grouped"])
def test_drawing_summing_and_finishing_by_hand_is_the_gradient(engine: str) -> None:
    one, many = parts(engine, noise_multiplier=0.7), parts(engine, noise_multiplier=0.7, max_grad_norm=0.1)
    build_mechanism("example", one).gradient(3)
    mechanism = build_mechanism("example", many)
    drawn = mechanism.draw(3)
    source = GroupedGradients(many.module, many.losses)
    batches = [Group(None, rows, drawn.clip) for rows in many.load(drawn.units)]
    found = mechanism.finish(3, drawn, source.sums(batches).sum(0))
    torch.testing.assert_close(found, gradients(one.module), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("engine", ["hooks", "grouped"])
def test_values_that_are_not_finite_count_as_nothing(engine: str) -> None:
    module, content = network(), Data()
    content.x[3] = float("nan")
    plan = replace(PLAN, sample_rate=1.0)
    mechanism = build_mechanism("example", by(engine, parts_for(content, module, plan)))
    mechanism.gradient(0)
    others = np.delete(np.arange(UNITS), 3)
    assert float((gradients(module) - one_by_one(module, content, others, plan)).abs().max()) < 1e-5


def test_a_failed_step_leaves_no_gradient_and_no_memory() -> None:
    def fail(module: nn.Module, tensors: Mapping[str, Tensor]) -> Tensor:
        losses(module, tensors)
        raise RuntimeError("out of memory")

    chosen = by("grouped", replace(parts("grouped", sample_rate=1.0), losses=fail))
    mechanism = ExampleMechanism(chosen)
    with pytest.raises(RuntimeError, match="memory"):
        mechanism.gradient(0)
    assert all(parameter.grad is None for parameter in chosen.module.parameters())
    assert not any("forward" in vars(layer) for layer in chosen.module.modules())


def test_noise_is_that_of_the_parameters_in_their_order() -> None:
    chosen = parts("grouped", sample_rate=1e-9, noise_multiplier=2.0)
    build_mechanism("example", chosen).gradient(0)
    noise = SeededStream(0, "a", "noise").at(0)
    sizes = [parameter.numel() for parameter in chosen.module.parameters() if parameter.requires_grad]
    expected = np.concatenate([noise.normal(size) * 0.2 / (1e-9 * UNITS) for size in sizes])
    np.testing.assert_allclose(gradients(chosen.module).numpy(), expected, rtol=1e-6)


def test_clipping_is_that_of_opacus() -> None:
    torch.manual_seed(0)
    weight, bias = nn.Parameter(torch.zeros(3, 4)), nn.Parameter(torch.zeros(3))
    samples = [torch.randn(6, 3, 4), torch.randn(6, 3)]
    weight.grad_sample, bias.grad_sample = samples  # type: ignore[attr-defined]
    optimizer = DPOptimizer(
        torch.optim.SGD([weight, bias], lr=0.0), noise_multiplier=0.0, max_grad_norm=3.0, expected_batch_size=1
    )
    optimizer.clip_and_accumulate()
    into = torch.zeros(1, 15)
    add_clipped(samples, [Clip(3.0)], [6], into)
    expected = torch.cat([weight.summed_grad.flatten(), bias.summed_grad])  # type: ignore[attr-defined]
    torch.testing.assert_close(into[0], expected, rtol=1e-6, atol=1e-6)
    # one parameter kept the other way round
    turned = torch.zeros(1, 15)
    add_clipped([samples[0].mT.contiguous().mT, samples[1]], [Clip(3.0)], [6], turned)
    torch.testing.assert_close(turned, into, rtol=1e-6, atol=1e-6)


def test_auto_takes_groups_where_they_suit_and_says_why_not_where_they_do_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert choose_engine("auto", network(), losses, ROWS) == "grouped"
    assert choose_engine("hooks", network(), losses, ROWS) == "hooks"
    convolution = nn.Sequential(nn.Unflatten(1, (1, 5)), nn.Conv1d(1, 2, 3), nn.Flatten(), nn.Linear(6, 1))
    with caplog.at_level(logging.INFO):
        assert choose_engine("auto", convolution, losses, ROWS) == "hooks"
    assert "Conv1d, which cannot be grouped" in caplog.text
    with pytest.raises(PrivacyError, match=r"privacy\.engine grouped .* Conv1d") as refused:
        choose_engine("grouped", convolution, losses, ROWS)
    assert "\n" not in str(refused.value)


def test_a_model_that_mixes_its_batch_is_refused_whatever_the_engine() -> None:
    def mixing(module: nn.Module, tensors: Mapping[str, Tensor]) -> Tensor:
        values = losses(module, tensors)
        return values / values.detach().sum()

    for wished in ("auto", "hooks", "grouped"):
        with pytest.raises(PrivacyError, match="per-sample gradients are wrong"):
            choose_engine(wished, network(), mixing, ROWS)


def test_a_layer_without_a_row_for_each_example_is_refused() -> None:
    with pytest.raises(PrivacyError, match="relative_attention_bias"):
        choose_engine("grouped", built(t5), translation, data(np.arange(4)))
