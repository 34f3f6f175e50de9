"""Sums of many groups in one pass, against one group at a time by plain backpropagation."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.privacy.test_transformers_gradients import CASES, Core, Task, built, data, gpt2, llama, lora, t5
from torch import Tensor, nn

from gossipfl.errors import PrivacyError
from gossipfl.privacy.grouped.gradients import GroupedGradients, grouping_problem
from gossipfl.privacy.grouped.padding import join
from gossipfl.privacy.grouped.seam import Group
from gossipfl.privacy.rows import Rows
from gossipfl.privacy.sources.clip import Clip
from gossipfl.privacy.sources.hooks import HookedGradients
from gossipfl.privacy.sources.plain import PlainGradients
from gossipfl.privacy.sources.seam import pieces, trainable, zeros_for

SMALL_CLIP = 0.05


def ffa(module: nn.Module) -> nn.Module:
    for name, parameter in module.named_parameters():
        parameter.requires_grad = parameter.requires_grad and "lora_A" not in name
    return module


def with_core(module: nn.Module, *names: str) -> nn.Module:
    module.requires_grad_(requires_grad=False)
    for layer in list(module.modules()):
        for name in names:
            if isinstance(getattr(layer, name, None), nn.Linear):
                setattr(layer, name, Core(getattr(layer, name)))
    return module


def mlp() -> nn.Module:
    return nn.Sequential(
        nn.Embedding(31, 6), nn.LayerNorm(6), nn.Linear(6, 9), nn.GELU(), nn.RMSNorm(9), nn.Linear(9, 3)
    )


def mlp_losses(module: nn.Module, tensors: Mapping[str, Tensor]) -> Tensor:
    ids = tensors["input_ids"]
    logits = module(ids[:, :4]).mean(1)
    return nn.functional.cross_entropy(logits, ids[:, 0] % 3, reduction="none")


CAUSAL, TRANSLATION = CASES["llama lora"][1], CASES["t5 lora"][1]
ALL: dict[str, tuple[Callable[[], nn.Module], Task]] = {
    **CASES,
    "llama ffa": (lambda: ffa(lora(llama(), "q_proj", "v_proj")), CAUSAL),
    "llama core": (lambda: with_core(llama(), "q_proj", "v_proj"), CAUSAL),
    "gpt2 ffa": (lambda: ffa(lora(gpt2(), "c_attn")), CAUSAL),
    "t5 ffa": (lambda: ffa(lora(t5(), "q", "v")), TRANSLATION),
    "t5 core": (lambda: with_core(t5(), "q", "v"), TRANSLATION),
    "mlp full": (mlp, mlp_losses),
    "mlp core": (lambda: nn.Sequential(nn.Embedding(31, 6), Core(nn.Linear(6, 3))), mlp_losses),
}


def vectors(module: nn.Module, count: int) -> list[Tensor]:
    start = torch.cat([parameter.detach().flatten() for parameter in trainable(module)])
    random = torch.Generator().manual_seed(1)
    return [start + 0.05 * torch.randn(start.shape, generator=random) for _ in range(count)]


def alone(module: nn.Module, task: Task, group: Group) -> Tensor:
    """By plain backpropagation, one unit at a time where it is clipped."""
    parameters = trainable(module)
    before = [parameter.detach().clone() for parameter in parameters]
    total = zeros_for(module)
    module.eval()
    with torch.no_grad():
        for parameter, piece in zip(parameters, pieces(group.vector, parameters), strict=True):  # type: ignore[arg-type]
            parameter.copy_(piece)
    for unit in range(group.rows.units):
        rows = group.rows.unit == unit
        part = Rows({name: tensor[rows] for name, tensor in group.rows.tensors.items()}, group.rows.unit[rows] - unit)
        one = zeros_for(module)
        PlainGradients(module, task).add(part, None, one)
        total += one * (1.0 if group.clip is None else min(1.0, group.clip.norm / (float(one.norm()) + 1e-6)))
    with torch.no_grad():
        for parameter, value in zip(parameters, before, strict=True):
            parameter.copy_(value)
    return total / group.divisor


def close(found: Tensor, expected: Tensor) -> bool:
    return float((found - expected).norm()) <= 1e-5 * float(expected.norm()) + 1e-9


def groups_of(module: nn.Module, clip: float | None, *units: Sequence[int]) -> list[Group]:
    batches = [
        data(np.array(chosen)) if len(chosen) else Rows({}, torch.zeros(0, dtype=torch.int64)) for chosen in units
    ]
    return [
        Group(vector, rows, None if clip is None else Clip(clip), 1.0 + place)
        for place, (vector, rows) in enumerate(zip(vectors(module, len(units)), batches, strict=True))
    ]


@pytest.mark.parametrize("clip", [None, SMALL_CLIP])
@pytest.mark.parametrize("case", ALL)
def test_a_pass_gives_what_one_group_at_a_time_gives(case: str, clip: float | None) -> None:
    make, task = ALL[case]
    module = built(make)
    groups = groups_of(module, clip, [0, 1, 2], [3], [], [4], [1, 0], [5, 6])
    sums = GroupedGradients(module, task).sums(groups)
    for found, group in zip(sums, groups, strict=True):
        assert close(found, alone(module, task, group)), case
    assert float(sums[0].norm()) > 0


def test_groups_that_clip_and_groups_that_do_not_go_together() -> None:
    make, task = ALL["bert lora and head"]
    module = built(make)
    clipped, free = groups_of(module, 0.01, [0, 1], [2, 3])
    free = Group(free.vector, free.rows, None)
    sums = GroupedGradients(module, task).sums([clipped, free])
    assert close(sums[0], alone(module, task, clipped))
    assert close(sums[1], alone(module, task, free))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.integers(0, 9), max_size=4), min_size=1, max_size=6), st.booleans())
def test_no_group_has_a_part_in_another(batches: list[list[int]], clips: bool) -> None:  # noqa: FBT001
    module = built(mlp)
    groups = groups_of(module, 0.1 if clips else None, *batches)
    sums = GroupedGradients(module, mlp_losses).sums(groups)
    for found, group in zip(sums, groups, strict=True):
        assert close(found, alone(module, mlp_losses, group))


def test_without_a_vector_the_values_of_the_module_are_taken() -> None:
    module = built(mlp)
    rows = data(np.arange(3))
    own = torch.cat([parameter.detach().flatten() for parameter in trainable(module)])
    gradients = GroupedGradients(module, mlp_losses)
    torch.testing.assert_close(gradients.sums([Group(None, rows)] * 2), gradients.sums([Group(own, rows)] * 2))


def test_groups_without_any_row_give_zeros() -> None:
    module = built(mlp)
    sums = GroupedGradients(module, mlp_losses).sums(groups_of(module, None, [], []))
    assert sums.shape == (2, zeros_for(module).numel())
    assert not sums.any()


@pytest.mark.parametrize("case", ["bert lora and head", "gpt2 full, tied head", "llama full"])
def test_clipped_sums_are_those_of_the_hooks(case: str) -> None:
    make, task = ALL[case]
    module = built(make)
    rows = data(np.arange(5))
    found = GroupedGradients(module, task).sums([Group(None, rows, Clip(SMALL_CLIP))])[0]
    hooks, expected = HookedGradients(module, task), zeros_for(module)
    hooks.add(rows, Clip(SMALL_CLIP), expected)
    hooks.close()
    assert close(found, expected)


def test_rows_of_unequal_length_are_padded() -> None:
    long, short = data(np.arange(2)), data(np.arange(1))
    short = Rows({name: tensor[:, :4] for name, tensor in short.tensors.items()}, short.unit)
    joined = join([short, long], {"input_ids": 9})
    assert joined.tensors["input_ids"].shape == (4, 7)
    assert joined.tensors["input_ids"][0, 4:].tolist() == [9, 9, 9]
    assert joined.tensors["attention_mask"][0, 4:].tolist() == [0, 0, 0]
    assert joined.unit.tolist() == [0, 1, 2, 2]


def test_padding_changes_no_sum() -> None:
    make, task = ALL["llama lora"]
    module = built(make)
    whole, cut = groups_of(module, None, [0], [3])
    # unit 3 ends with three padded tokens
    cut = Group(cut.vector, Rows({name: tensor[:, :4] for name, tensor in cut.rows.tensors.items()}, cut.rows.unit))
    sums = GroupedGradients(module, task).sums([whole, cut])
    assert close(sums[1], alone(module, task, cut))


@pytest.mark.parametrize("clip", [None, 0.1])
def test_nothing_is_left_on_the_module(clip: float | None) -> None:
    module = built(mlp)
    trained = trainable(module)
    for parameter in trained:
        parameter.grad = torch.ones_like(parameter)
    before = [parameter.detach().clone() for parameter in trained]
    GroupedGradients(module, mlp_losses).sums(groups_of(module, clip, [0, 1], [2]))
    assert not any("forward" in vars(layer) or layer._forward_pre_hooks for layer in module.modules())
    assert all(bool((parameter.grad == 1).all()) for parameter in trained if parameter.grad is not None)
    assert all(torch.equal(now, then) for now, then in zip(trained, before, strict=True))


def test_nothing_is_left_on_the_module_when_the_losses_fail() -> None:
    module = built(mlp)
    broken = False

    def fail(inner: nn.Module, tensors: Mapping[str, Tensor]) -> Tensor:
        values = mlp_losses(inner, tensors)
        if broken:
            raise OSError("disk")
        return values

    gradients = GroupedGradients(module, fail)
    groups = groups_of(module, None, [0, 1], [2])
    expected = gradients.sums(groups)
    broken = True
    with pytest.raises(OSError, match="disk"):
        gradients.sums(groups)
    assert not any("forward" in vars(layer) for layer in module.modules())
    broken = False
    assert torch.equal(gradients.sums(groups), expected)


class Scaled(nn.Module):
    """A trained parameter outside of any layer that can be grouped."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = mlp()
        self.scale = nn.Parameter(torch.ones(3, 3))

    def forward(self, ids: Tensor) -> Tensor:
        scaled: Tensor = self.inner(ids) @ self.scale
        return scaled


@pytest.mark.parametrize("clip", [None, 0.1])
def test_small_models_of_other_layers_are_vectorized(clip: float | None) -> None:
    module = built(Scaled)
    groups = groups_of(module, clip, [0, 1, 2], [3], [], [4, 5])
    for found, group in zip(GroupedGradients(module, mlp_losses).sums(groups), groups, strict=True):
        assert close(found, alone(module, mlp_losses, group))


def test_a_lack_of_memory_is_not_taken_for_a_model_that_cannot_be_vectorized() -> None:
    def greedy(module: nn.Module, tensors: Mapping[str, Tensor]) -> Tensor:
        torch.empty(1 << 60)
        return mlp_losses(module, tensors)

    module = built(Scaled)
    with pytest.raises(RuntimeError, match="allocate memory"):
        GroupedGradients(module, greedy).sums(groups_of(module, None, [0], [1]))


class Hidden(nn.Module):
    """Uses a layer's weight behind its back."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(31, 6)
        self.inner = nn.Linear(6, 3)

    def forward(self, ids: Tensor) -> Tensor:
        hidden: Tensor = self.table(ids) @ self.inner.weight.T
        return hidden


def test_a_weight_used_behind_its_layers_back_is_refused() -> None:
    module = built(Hidden)
    with pytest.raises(PrivacyError, match=r"inner\.weight is used without its layer"):
        GroupedGradients(module, mlp_losses).sums(groups_of(module, None, [0], [1]))


def test_what_cannot_be_grouped_says_why() -> None:
    rows = data(np.arange(2))
    assert "relative_attention_bias" in grouping_problem(built(t5), TRANSLATION, rows)
    assert grouping_problem(built(mlp), mlp_losses, rows) == ""


def test_a_weight_that_is_missed_on_the_way_back_is_a_reason_too() -> None:
    assert "inner.weight is used without its layer" in grouping_problem(built(Hidden), mlp_losses, data(np.arange(2)))
