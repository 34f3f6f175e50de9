"""What the table of families says of each is so: default layers, gradients of single rows, rows that mind nobody."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.learning.conftest import LABELS
from tests.learning.tiny_families import CASES, OF_TRANSFORMERS, QUICK, TINY, write_tiny
from torch import Tensor

from gossipfl.config.experiment import AdapterConfig, Experiment, ModelConfig, TaskConfig
from gossipfl.config.privacy import PrivacyConfig
from gossipfl.errors import ModelError, PrivacyError
from gossipfl.learning.adapters import Adapted, attach
from gossipfl.learning.adapters.summary import summarize
from gossipfl.learning.fake_pass import inputs, peak_of_pass
from gossipfl.learning.families import BEGIN, FAMILIES, families_table, with_families
from gossipfl.learning.footprint import footprint
from gossipfl.learning.models import load_base
from gossipfl.learning.tasks import make_task
from gossipfl.privacy.rows import Rows
from gossipfl.privacy.self_check import choose_engine

README = Path(__file__).parents[2] / "README.md"
PARAMETERS = [pytest.param(*case, marks=[] if case[0] in QUICK else [pytest.mark.slow]) for case in CASES]
Make = Callable[..., Adapted]


@pytest.fixture(scope="module")
def adapted_to(tmp_path_factory: pytest.TempPathFactory) -> Make:
    home = tmp_path_factory.mktemp("families")

    def make(family: str, task: str, **adapter: object) -> Adapted:
        experiment = Experiment(
            model=ModelConfig(source=str(write_tiny(family, home))),
            task=TaskConfig.model_validate({"kind": task, "labels": LABELS if "class" in task else ()}),
            adapter=AdapterConfig.model_validate({"rank": 4, **adapter}),
            privacy=PrivacyConfig(level="none"),
        )
        return attach(load_base(experiment.model, experiment.task, folder=Path(), seed=0), experiment)

    return make


def rows(task: str, lengths: tuple[int, ...] = (9, 4, 6), seed: int = 0) -> Rows:
    """Rows of random words with the mark at their end, padded behind it."""
    words = torch.randint(3, 64, (len(lengths), max(lengths)), generator=torch.Generator().manual_seed(seed))
    places, ends = torch.arange(max(lengths)), torch.tensor(lengths)[:, None]
    ids = words.masked_fill(places == ends - 1, 1).masked_fill(places >= ends, 0)
    mask = (places < ends).long()
    labels = torch.arange(len(lengths)) % 3 if "class" in task else ids.masked_fill(mask == 0, -100)
    return Rows({"input_ids": ids, "attention_mask": mask, "labels": labels}, torch.arange(len(lengths)))


def cut(tensors: Mapping[str, Tensor], row: int, length: int) -> dict[str, Tensor]:
    """A row alone, without padding."""
    return {
        name: each[row : row + 1, :length] if each.dim() > 1 else each[row : row + 1] for name, each in tensors.items()
    }


def test_the_readme_has_the_table_of_now() -> None:
    text = README.read_text()
    assert with_families(text) == text, "run scripts/reference"
    assert families_table().count("\n") == len(FAMILIES) + 2
    with pytest.raises(ValueError, match="no table between"):
        with_families(text.replace(BEGIN, ""))


def test_every_family_has_a_tiny_model() -> None:
    assert set(OF_TRANSFORMERS) == set(TINY)


@pytest.mark.parametrize(("kind", "task"), PARAMETERS)
def test_the_default_layers_are_those_of_the_table(kind: str, task: str, adapted_to: Make) -> None:
    adapted = adapted_to(kind, task, kind="lora")
    summary = summarize(adapted.experiment.adapter, adapted.spec)
    assert set(summary.endings) == set(OF_TRANSFORMERS[kind].targets)
    assert "adapter: lora of rank 4 on " in str(summary)
    assert all(isinstance(adapted.module.get_submodule(f"{layer}.lora_A"), torch.nn.Module) for layer in summary.layers)


@pytest.mark.parametrize(("kind", "task"), PARAMETERS)
@pytest.mark.parametrize("adapter", ["lora", "core", "full"])
def test_gradients_of_single_rows_are_right_or_refused(kind: str, task: str, adapter: str, adapted_to: Make) -> None:
    adapted = adapted_to(kind, task, kind=adapter)
    losses = make_task(adapted.experiment.task).losses
    if adapter == "full" and OF_TRANSFORMERS[kind].whole:
        with pytest.raises(PrivacyError, match="per-sample gradients"):
            choose_engine("auto", adapted.module, losses, rows(task))
    else:
        assert choose_engine("auto", adapted.module, losses, rows(task)) in {"grouped", "hooks"}


@pytest.mark.parametrize(("kind", "task"), PARAMETERS)
def test_no_row_minds_how_long_the_others_are(kind: str, task: str, adapted_to: Make) -> None:
    adapted = adapted_to(kind, task, kind="lora")
    losses = make_task(adapted.experiment.task).losses

    @settings(max_examples=6)
    @given(lengths=st.lists(st.integers(2, 14), min_size=2, max_size=4), seed=st.integers(0, 9), training=st.booleans())
    def check(lengths: list[int], seed: int, training: bool) -> None:  # noqa: FBT001  # hypothesis'
        adapted.module.train(training)
        batch = rows(task, tuple(lengths), seed).tensors
        with torch.no_grad():
            together = losses(adapted.module, batch)
            alone = torch.cat([losses(adapted.module, cut(batch, row, end)) for row, end in enumerate(lengths)])
        torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)

    check()


@pytest.mark.parametrize(("kind", "task"), PARAMETERS)
def test_what_a_pass_takes_is_told_before_it_is_loaded(kind: str, task: str, adapted_to: Make) -> None:
    adapted = adapted_to(kind, task, kind="lora")
    short = adapted.experiment.task.model_copy(update={"max_length": 16})
    experiment = adapted.experiment.model_copy(update={"task": short})
    if (kind, task) == ("t5", "sequence-classification"):
        # it looks for the mark at the end of each row
        with pytest.raises(ModelError, match="a pass without weights fails: DynamicOutputShapeException"):
            footprint(experiment, Path())
        return
    told = footprint(experiment, Path())
    assert told.adapter == 10 * 4 * sum(own.numel() for own in adapted.trained.values())
    tensors = inputs(adapted.module, experiment.training.micro_batch, short.max_length)
    # a mask of ones alone is seen by real models and dropped
    tensors["attention_mask"][0, -1] = 0
    module: Any = adapted.module.train()
    module.config.use_cache = False
    assert told.activations == pytest.approx(peak_of_pass(module, tensors, None), rel=0.1)


@pytest.mark.parametrize("kind", ["mamba", "rwkv"])
def test_a_layer_that_an_adapter_would_not_reach_is_refused_by_name(kind: str, adapted_to: Make) -> None:
    layer, why = {
        "mamba": ("mixer.out_proj", "hands its weight to a fused kernel"),
        "rwkv": ("feed_forward.value", "divides its weight for inference"),
    }[kind]
    with pytest.raises(ModelError, match=rf"adapter\.targets: .*{layer} cannot be adapted: .*{why}") as no:
        adapted_to(kind, "causal-lm", kind="lora", targets=(layer,))
    assert "\n" not in str(no.value)


def test_all_linear_is_the_body_without_what_gives_the_words(adapted_to: Make) -> None:
    adapted = adapted_to("rwkv", "causal-lm", kind="lora", targets=("all-linear",))
    layers = summarize(adapted.experiment.adapter, adapted.spec).layers
    assert layers == tuple(
        f"rwkv.blocks.{block}.{part}"
        for block in (0, 1)
        for part in (
            "attention.key",
            "attention.value",
            "attention.receptance",
            "feed_forward.key",
            "feed_forward.receptance",
        )
    )


def test_weights_stay_what_they_are_whatever_mode_a_model_is_in(adapted_to: Make) -> None:
    adapted = adapted_to("rwkv", "causal-lm", kind="full")
    tensors = rows("causal-lm").tensors
    for training in (True, False, True):
        adapted.module.train(training)
        with torch.no_grad():
            make_task(adapted.experiment.task).losses(adapted.module, tensors)
        assert adapted.read() == adapted.initial
