"""Attaching an adapter: what is trained, what is read and written, and that every node starts alike."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from gossipfl.config.experiment import Experiment
from gossipfl.errors import ConfigError, ModelError
from gossipfl.learning.adapters import ADAPTERS, Adapted, AdapterRequest, Parts, attach, make_basis
from gossipfl.learning.adapters.summary import summarize
from gossipfl.learning.basis import save_basis
from gossipfl.learning.models import load_base
from gossipfl.state import AdapterState

Attach = Callable[..., Adapted]
Prepare = Callable[..., Experiment]
KINDS = tuple(ADAPTERS)
NAMES = ("bert", "gpt2", "llama", "t5")
EVERY = [(name, kind) for name in NAMES for kind in KINDS]
IDS = torch.tensor([[3, 9, 27, 4, 12, 1], [5, 25, 40, 8, 16, 1]])


def random_state(adapted: Adapted, seed: int = 0) -> AdapterState:
    noise = np.random.default_rng(seed).standard_normal(adapted.spec.size).astype(np.float32)
    return AdapterState(adapted.spec, adapted.initial.vector + np.float32(0.1) * noise)


def logits(adapted: Adapted) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = adapted.module(input_ids=IDS).logits
    return found


@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_what_is_written_is_read_and_the_start_is_the_base_model(
    name: str, kind: str, adapted_of: Attach, experiment_of: Prepare
) -> None:
    adapted = adapted_of(name, kind=kind)
    experiment = experiment_of(name)
    plain = load_base(experiment.model, experiment.task, folder=Path(), seed=0).module(input_ids=IDS).logits
    assert torch.allclose(logits(adapted), plain, atol=1e-6)
    assert adapted.read() == adapted.initial
    state = random_state(adapted)
    adapted.write(state)
    assert adapted.read() == state
    assert not torch.allclose(logits(adapted), plain, atol=1e-3)
    adapted.write(adapted.initial)
    assert torch.allclose(logits(adapted), plain, atol=1e-6)


@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_only_what_is_exchanged_gets_a_gradient_and_all_of_it_does(name: str, kind: str, adapted_of: Attach) -> None:
    adapted = adapted_of(name, kind=kind)
    adapted.write(random_state(adapted))
    adapted.module(input_ids=IDS).logits.square().sum().backward()
    trained = {id(parameter) for parameter in adapted.trained.values()}
    for parameter in adapted.module.parameters():
        assert parameter.requires_grad == (id(parameter) in trained)
        assert (parameter.grad is not None) <= (id(parameter) in trained)
    if kind != "full":
        assert all(parameter.grad is not None for parameter in adapted.trained.values())


@pytest.mark.parametrize("kind", KINDS)
def test_segments_have_the_base_models_names_in_its_order(kind: str, adapted_of: Attach) -> None:
    names = [segment.name for segment in adapted_of("bert", kind=kind).spec.segments]
    layers = [f"bert.encoder.layer.{n}.attention.self.{end}" for n in (0, 1) for end in ("query", "value")]
    factors = {"lora": ("lora_A", "lora_B"), "ffa": ("lora_B",), "core": ("core_R",)}
    if kind in factors:
        expected = [f"{layer}.{factor}" for layer in layers for factor in factors[kind]]
        assert names == [*expected, "classifier.weight", "classifier.bias"]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("kind", "values"), [("core", 4 * 16), ("lora", 4 * 4 * 128), ("ffa", 4 * 4 * 64), ("full", None)]
)
def test_without_the_head_the_adapter_alone_is_exchanged(kind: str, values: int | None, adapted_of: Attach) -> None:
    with_head, without = adapted_of("bert", kind=kind), adapted_of("bert", kind=kind, train_head=False)
    assert with_head.spec.size - without.spec.size == 3 * 64 + 3
    assert values is None or without.spec.size == values
    assert not any(parameter.requires_grad for parameter in without.base.head.values())


@pytest.mark.parametrize("kind", ["lora", "ffa"])
def test_one_seed_gives_one_start_whatever_torchs_generator_does(kind: str, adapted_of: Attach) -> None:
    first = adapted_of("bert", kind=kind, seed=3)
    torch.manual_seed(12345)
    again, other = adapted_of("bert", kind=kind, seed=3), adapted_of("bert", kind=kind, seed=4)
    assert first.components() == again.components()
    differing = {key for key, value in first.components().items() if value != other.components()[key]}
    assert differing == {"adapter", "head"}
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    adapted_of("bert", kind=kind)
    assert torch.equal(torch.rand(3), expected)


def test_components_name_what_differs(adapted_of: Attach) -> None:
    base = adapted_of("bert", kind="core").components()
    assert set(base) == {"model", "adapter", "basis", "head", "labels"}
    assert base["basis"] == "computed"

    def differing(**wanted: object) -> set[str]:
        other = adapted_of("bert", **{"kind": "core", **wanted}).components()
        return {key for key in base if base[key] != other[key]}

    assert differing(rank=5) == {"adapter"}
    assert differing(alpha=9.0) == {"adapter"}
    assert differing(targets=("query",)) == {"adapter"}
    assert differing(kind="ffa") == {"adapter", "basis"}


def test_a_basis_file_serves_like_the_computed_one_and_is_in_the_fingerprint(
    tmp_path: Path, adapted_of: Attach, experiment_of: Prepare
) -> None:
    experiment, path = experiment_of("llama", kind="core"), tmp_path / "basis.safetensors"
    base = load_base(experiment.model, experiment.task, folder=Path(), seed=0)
    sha256 = save_basis(make_basis(base, experiment), path, base_sha256=base.sha256)
    loaded, computed = adapted_of("llama", kind="core", basis=path), adapted_of("llama", kind="core")
    assert loaded.components()["basis"] == sha256
    assert loaded.basis_sketch == pytest.approx(computed.basis_sketch, abs=1e-4)
    state = random_state(loaded)
    loaded.write(state)
    computed.write(state)
    assert torch.allclose(logits(loaded), logits(computed), atol=1e-5)
    with pytest.raises(ModelError, match=r"adapter\.basis: .* was made for base model"):
        adapted_of("gpt2", kind="core", basis=path)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (
            {"targets": ("nowhere",)},
            r"adapter\.targets: 'nowhere' matches no layer; there are dense, key, query, value",
        ),
        ({"targets": ("query", "uery")}, "'uery' matches no layer"),
        ({"targets": ("classifier",)}, "'classifier' matches no layer"),
        ({"rank": 65}, r"adapter\.rank: 65 does not fit layer bert\.encoder\.layer\.0.* of 64 x 64; at most 64"),
    ],
)
@pytest.mark.parametrize("kind", ["lora", "ffa", "core"])
def test_targets_or_a_rank_that_do_not_fit_are_one_line(
    kind: str, wanted: dict[str, object], message: str, adapted_of: Attach
) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        adapted_of("bert", kind=kind, **wanted)
    assert "\n" not in str(caught.value)


def test_a_layer_is_targeted_by_the_end_of_its_name(adapted_of: Attach) -> None:
    names = [s.name for s in adapted_of("llama", kind="core", targets=("1.self_attn.k_proj", "up_proj")).spec.segments]
    assert names[:3] == [
        "model.layers.0.mlp.up_proj.core_R",
        "model.layers.1.self_attn.k_proj.core_R",
        "model.layers.1.mlp.up_proj.core_R",
    ]


def test_an_architecture_without_known_targets_is_adapted_in_all_linear_layers(experiment_of: Prepare) -> None:
    experiment = experiment_of("bert", kind="lora")
    base = load_base(experiment.model, experiment.task, folder=Path(), seed=0)
    configuration = base.module.config
    configuration.model_type = "unheard-of"  # type: ignore[union-attr]
    summary = summarize(experiment.adapter, attach(base, experiment).spec)
    # dense: of attention, of both halves of the block after it, and of the pooler
    assert summary.endings == {"query": 2, "key": 2, "value": 2, "dense": 7}
    assert not any("classifier" in layer for layer in summary.layers)


def test_a_model_without_linear_layers_says_what_it_has(experiment_of: Prepare) -> None:
    experiment = experiment_of("llama", task="causal-lm", kind="lora")
    base = load_base(experiment.model, experiment.task, folder=Path(), seed=0)
    said = (
        r"adapter\.targets: the model has no linear layer to adapt; its layers are Embedding, LSTM; adapter\.kind full"
    )
    module = nn.ModuleDict({"words": nn.Embedding(64, 8), "lstm": nn.LSTM(8, 8)})
    for targets in ((), ("lstm",)):
        adapter = experiment.adapter.model_copy(update={"targets": targets})
        with pytest.raises(ModelError, match=said):
            attach(replace(base, module=module), experiment.model_copy(update={"adapter": adapter}))


def test_layers_that_are_called_by_numbers_are_listed_with_what_they_are_in(experiment_of: Prepare) -> None:
    experiment = experiment_of("llama", task="causal-lm", kind="lora", targets=("fc1",))
    base = load_base(experiment.model, experiment.task, folder=Path(), seed=0)
    block = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
    module = nn.ModuleDict({"block": block, "out": nn.Linear(8, 8)})
    with pytest.raises(ModelError, match=r"'fc1' matches no layer; there are block\.0, block\.2, out$"):
        attach(replace(base, module=module), experiment)


def test_an_unknown_kind_names_the_nearest(adapted_of: Attach) -> None:
    with pytest.raises(ConfigError, match=r"adapter\.kind: 'lara' is unknown; did you mean 'lora'"):
        adapted_of("bert", kind="lara")


def build_biases(request: AdapterRequest) -> Parts:
    """A user's own kind of adapter."""
    return Parts({n: p for n, p in request.base.module.named_parameters() if n.endswith("query.bias")})


def test_a_users_own_kind_is_imported(adapted_of: Attach) -> None:
    adapted = adapted_of("bert", kind=f"{__name__}:build_biases")
    assert adapted.spec.size == 2 * 64 + 3 * 64 + 3


def test_a_state_of_another_adapter_is_refused(adapted_of: Attach) -> None:
    with pytest.raises(ModelError, match="a state of spec"):
        adapted_of("bert", kind="core").write(adapted_of("bert", kind="lora").initial)


@pytest.mark.parametrize("kind", KINDS)
def test_a_body_in_bf16_trains_an_adapter_in_fp32(kind: str, adapted_of: Attach) -> None:
    adapted = adapted_of("llama", kind=kind, dtype="bfloat16")
    assert {parameter.dtype for parameter in adapted.trained.values()} == {torch.float32}
    state = random_state(adapted)
    adapted.write(state)
    assert adapted.read() == state
    adapted.module(input_ids=IDS).logits.float().square().sum().backward()
    assert all(
        torch.isfinite(parameter.grad).all() for parameter in adapted.trained.values() if parameter.grad is not None
    )


@pytest.mark.parametrize("kind", ["lora", "core"])
def test_dropout_is_the_adapters_own_and_only_in_training(kind: str, experiment_of: Prepare) -> None:
    experiment = experiment_of("bert", kind=kind)
    training = experiment.training.model_copy(update={"dropout": 0.5})
    experiment = experiment.model_copy(update={"training": training})
    adapted = attach(load_base(experiment.model, experiment.task, folder=Path(), seed=0), experiment)
    adapted.write(random_state(adapted))
    assert torch.equal(logits(adapted), logits(adapted))
    adapted.module.train()
    assert not torch.equal(logits(adapted), logits(adapted))


def test_nodes_of_several_ranks_have_one_fingerprint_that_tells_scales_apart(adapted_of: Attach) -> None:
    usual = {"kind": "lora", "merge": "svd", "mixed_ranks": True, "alpha": 6}
    two, three = (adapted_of("llama", **usual, rank=rank).components() for rank in (2, 3))
    assert two == three
    for change in ({"alpha": 7}, {"rank_stabilized": True}, {"targets": ("k_proj",)}):
        assert adapted_of("llama", **{**usual, **change}, rank=3).components()["adapter"] != three["adapter"]


def test_another_way_to_merge_is_another_adapter_though_the_layout_is_one(adapted_of: Attach) -> None:
    plain, products = (adapted_of("llama", kind="lora", merge=merge) for merge in ("factors", "svd"))
    assert plain.spec == products.spec
    assert plain.components()["adapter"] != products.components()["adapter"]


def test_what_mixing_alone_changes_rests_in_every_phase(adapted_of: Attach) -> None:
    # a release at level update would put noise on it, which no clipping knows of
    adapted = adapted_of("llama", kind="lora", merge="exact")
    for phase in (0, 1):
        resting = adapted.resting_values(phase)
        assert resting is not None
        for name, place in adapted.spec.slices.items():
            assert resting[place].all() == resting[place].any() == (name in adapted.parts.folds)
