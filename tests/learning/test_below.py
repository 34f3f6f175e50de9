"""What frozen layers give is computed once a row."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.learning.conftest import Prepare
from torch import Tensor, nn

from gossipfl.errors import ModelError
from gossipfl.learning.adapters import Adapted, attach
from gossipfl.learning.below import frozen_below, keep_below
from gossipfl.learning.kept_rows import KeptRows
from gossipfl.learning.models import load_base

UPPER = ("layer.1.attention.self.query", "layer.1.attention.self.value")
IDS = torch.randint(3, 64, (6, 9), generator=torch.Generator().manual_seed(0))
MASK = torch.ones_like(IDS).index_fill_(1, torch.tensor([8]), 0)
Make = Callable[..., Adapted]


@pytest.fixture
def make(experiment_of: Prepare) -> Make:
    def made(**adapter: Any) -> Adapted:
        experiment = experiment_of("bert", **{"kind": "core", "targets": UPPER, **adapter})
        return attach(load_base(experiment.model, experiment.task, folder=Path(), seed=0), experiment)

    return made


def logits(adapted: Adapted, rows: slice = slice(None)) -> Tensor:
    found: Tensor = adapted.module(input_ids=IDS[rows], attention_mask=MASK[rows]).logits
    return found


def gradients(adapted: Adapted) -> dict[str, Tensor]:
    adapted.module.zero_grad()
    logits(adapted).square().sum().backward()  # type: ignore[no-untyped-call]
    return {name: parameter.grad for name, parameter in adapted.trained.items() if parameter.grad is not None}


def count_calls(layer: nn.Module) -> list[int]:
    """Rows that went through a layer, call by call, from now on."""
    calls: list[int] = []
    layer.get_submodule("output.dense").register_forward_hook(lambda _, inputs, __: calls.append(len(inputs[0])))
    return calls


def test_logits_and_gradients_are_those_without(make: Make) -> None:
    plain, kept = make(), make()
    keep_below(kept)
    expected = logits(plain)
    for _ in range(2):  # computed, then looked up
        assert torch.allclose(logits(kept), expected, atol=1e-6)
    found, wished = gradients(kept), gradients(plain)
    assert found.keys() == wished.keys() == set(kept.trained)
    assert all(torch.allclose(found[name], wished[name], atol=1e-5) for name in wished)
    assert kept.spec == plain.spec


def test_a_row_is_computed_once_whatever_it_stands_beside_and_in_whatever_process(make: Make) -> None:
    first = make()
    keep_below(first)
    calls = count_calls(frozen_below(first)[0])
    logits(first, slice(0, 4))
    logits(first, slice(2, 6))
    assert calls == [4, 2]
    # as in another process: another model, the same files
    second = make()
    keep_below(second)
    calls = count_calls(frozen_below(second)[0])
    assert torch.equal(logits(second), logits(first))
    assert calls == []


def test_another_mask_is_another_row(make: Make) -> None:
    kept, plain = make(), make()
    keep_below(kept)
    logits(kept)
    mask = torch.ones_like(IDS).index_fill_(1, torch.tensor([5, 6, 7, 8]), 0)
    found, expected = (one.module(input_ids=IDS, attention_mask=mask).logits for one in (kept, plain))
    assert torch.allclose(found, expected, atol=1e-6)


def test_models_do_not_share_what_differs(make: Make, experiment_of: Prepare, cache: Path) -> None:
    keep_below(first := make())
    logits(first)
    experiment = experiment_of("bert", kind="core", targets=UPPER, dtype="bfloat16")
    other = attach(load_base(experiment.model, experiment.task, folder=Path(), seed=0), experiment)
    keep_below(other)
    logits(other)
    assert len(list((cache / "below").iterdir())) == 2


@pytest.mark.parametrize("targets", [("layer.0.attention.self.query",), ("query",)])
def test_nothing_below_the_lowest_layer_is_refused(make: Make, targets: tuple[str, ...]) -> None:
    with pytest.raises(ModelError, match=r"model\.keep_below: no layer of bert\.encoder\.layer lies below"):
        keep_below(make(targets=targets))


def test_a_model_that_is_trained_whole_is_refused(make: Make) -> None:
    with pytest.raises(ModelError, match=r"model\.keep_below: bert\.embeddings\S+ is trained"):
        keep_below(make(kind="full", targets=()))


def test_what_a_killed_writer_left_behind_is_overwritten(tmp_path: Path) -> None:
    rows = KeptRows(tmp_path, 3)
    rows.keep([b"a" * 16], np.ones((1, 3), np.float32))
    with (tmp_path / "3.rows").open("ab") as file:
        file.write(b"half a row")
    with (tmp_path / "3.keys").open("ab") as file:
        file.write(b"half")
    again = KeptRows(tmp_path, 3)
    again.keep([b"b" * 16], np.full((1, 3), 2, np.float32))
    places = KeptRows(tmp_path, 3).find([b"b" * 16, b"a" * 16, b"c" * 16])
    assert places == [1, 0, None]
    assert rows.find([b"b" * 16]) == [1]
    assert rows.take([1, 0]).tolist() == [[2, 2, 2], [1, 1, 1]]
