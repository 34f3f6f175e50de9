"""Small models of vectors through the seams of every other model."""

import json
import math
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from tests.learning.vectors import DIGITS, sites, vector_experiment
from torch import nn

from gossipfl.config.experiment import Experiment
from gossipfl.config.loading import parse_experiment
from gossipfl.errors import ModelError
from gossipfl.learning.adapters import Adapted, attach
from gossipfl.learning.bench import Bench, build_learner
from gossipfl.learning.books import RunTerms
from gossipfl.learning.cache import file_sha256
from gossipfl.learning.export import export
from gossipfl.learning.generation import generate
from gossipfl.learning.models import load_base
from gossipfl.learning.tasks import make_task
from gossipfl.privacy.sources import ENGINES, Engine
from gossipfl.state import AdapterState

LOGISTIC: dict[str, Any] = {"source": "builtin:logistic", "inputs": 64}
MLP: dict[str, Any] = {"source": "builtin:mlp", "inputs": 64, "hidden": (32, 16)}
EXAMPLE: dict[str, Any] = {"level": "example", "noise_multiplier": 1.0, "accountant": "rdp"}


def adapted_for(experiment: Experiment) -> Adapted:
    base = load_base(experiment.model, experiment.task, folder=Path(), seed=experiment.seed)
    return attach(base, experiment)


def bench_for(experiment: Experiment, folder: Path) -> Bench:
    (site,) = sites(folder, "a")
    return build_learner(experiment, site, RunTerms("r", ledger="ledger.sqlite", streams="seeded"))


def trained(bench: Bench, *, phases: int, steps: int) -> AdapterState:
    state = bench.adapted.initial
    for phase in range(phases):
        state = bench.learner.train(state, first_step=phase * steps, steps=steps).state
    return state


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "privacy", "least"),
    [(LOGISTIC, {}, 0.93), (MLP, {}, 0.93), (LOGISTIC, EXAMPLE, 0.8), (MLP, EXAMPLE, 0.7)],
    ids=["logistic", "mlp", "logistic-private", "mlp-private"],
)
def test_it_learns_the_digits(model: dict[str, Any], privacy: dict[str, Any], least: float, tmp_path: Path) -> None:
    bench = bench_for(vector_experiment(model=model, privacy=privacy, data={"test_share": 0.2}), tmp_path)
    before = bench.learner.evaluate(bench.adapted.initial, bench.data.train)
    state = trained(bench, phases=5, steps=40)
    assert bench.data.test is not None
    after = bench.learner.evaluate(state, bench.data.test)
    receipt = bench.account.receipt()
    bench.close()

    assert before.loss < 2 * math.log(10)
    assert after.accuracy is not None
    assert after.accuracy > least
    assert math.isfinite(receipt.epsilon) == bool(privacy)


@pytest.mark.parametrize(
    ("model", "values"), [(LOGISTIC, 64 * 10 + 10), (MLP, 64 * 32 + 32 + 32 * 16 + 16 + 16 * 10 + 10)]
)
def test_every_weight_is_trained_and_travels(model: dict[str, Any], values: int) -> None:
    adapted = adapted_for(vector_experiment(model=model))

    assert adapted.spec.size == values == sum(parameter.numel() for parameter in adapted.module.parameters())
    assert all(parameter.requires_grad for parameter in adapted.module.parameters())


def test_what_it_computes_is_what_its_name_says() -> None:
    module = adapted_for(vector_experiment(model=MLP)).module
    x = torch.linspace(-1, 1, 3 * 64).view(3, 64)
    first, second, output = (module.get_submodule(name) for name in ("hidden_1", "hidden_2", "output"))

    assert torch.equal(module(x), output(torch.relu(second(torch.relu(first(x))))))
    logistic = adapted_for(vector_experiment()).module
    assert [type(layer) for layer in logistic.children()] == [nn.Linear]


def test_the_start_depends_on_the_seed_and_on_nothing_else() -> None:
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)
    with ThreadPoolExecutor(2) as pool:
        first, again = pool.map(lambda _: adapted_for(vector_experiment(model=MLP)).components(), range(2))

    assert torch.equal(torch.rand(4), expected)
    assert first == again
    other = vector_experiment(model=MLP).model_copy(update={"seed": 1})
    assert adapted_for(other).components()["head"] != first["head"]
    assert adapted_for(other).components()["model"] == first["model"]


@pytest.mark.parametrize(
    "other",
    [
        {"model": {**MLP, "hidden": (16, 32)}},
        {"model": {**MLP, "inputs": 65}},
        {"model": LOGISTIC},
        {"labels": DIGITS[:9]},
    ],
)
def test_nodes_with_other_widths_do_not_fit_together(other: dict[str, Any]) -> None:
    mine = adapted_for(vector_experiment(model=MLP)).components()
    theirs = adapted_for(vector_experiment(**{"model": MLP, **other})).components()

    assert mine["model"] != theirs["model"]
    assert mine["adapter"] != theirs["adapter"]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("model", [LOGISTIC, MLP], ids=["logistic", "mlp"])
def test_gradients_of_single_records_are_those_computed_one_by_one(
    model: dict[str, Any], engine: Engine, tmp_path: Path
) -> None:
    bench = bench_for(vector_experiment(model=model), tmp_path)
    module, losses = bench.adapted.module, make_task(bench.adapted.experiment.task).losses
    rows = next(bench.data.train.rows_in_order(7))
    source = ENGINES[engine](module, losses)
    together = [gradient.clone() for gradient in source.unit_gradients(rows)]
    source.close()

    for place in range(rows.count):
        alone = torch.autograd.grad(losses(module, rows.row(place).tensors).sum(), list(module.parameters()))
        for found, gradient in zip(together, alone, strict=True):
            torch.testing.assert_close(found[place], gradient, rtol=1e-4, atol=1e-6)


def test_a_resumed_private_run_equals_an_uninterrupted_one_bit_for_bit(tmp_path: Path) -> None:
    experiment = vector_experiment(model=MLP, privacy=EXAMPLE)
    states = []
    for name, pauses in (("whole", False), ("parts", True)):
        (tmp_path / name).mkdir()
        bench = bench_for(experiment, tmp_path / name)
        state = trained(bench, phases=1, steps=3)
        if pauses:
            moments = bench.learner.durable()
            bench.close()
            bench = bench_for(experiment, tmp_path / name)
            bench.learner.restore(moments)
        states.append(bench.learner.train(state, first_step=3, steps=3).state)
        bench.close()

    assert states[0] == states[1]


@pytest.mark.parametrize("model", [LOGISTIC, MLP], ids=["logistic", "mlp"])
def test_an_export_holds_the_weights_and_says_what_they_are(model: dict[str, Any], tmp_path: Path) -> None:
    adapted = adapted_for(vector_experiment(model=model))
    noise = np.random.default_rng(0).standard_normal(adapted.spec.size).astype(np.float32)
    state = AdapterState(adapted.spec, noise)
    sha256 = export(adapted, state, tmp_path / "out")

    weights = tmp_path / "out" / "model.safetensors"
    assert sha256 == file_sha256(weights)
    found = load_file(weights)
    assert all(torch.equal(found[name], value) for name, value in adapted.module.state_dict().items())
    about = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (about["source"], about["inputs"], about["labels"]) == (model["source"], 64, list(DIGITS))
    assert list(about["layers"])[-1] == "output"
    assert export(adapted, state, tmp_path / "out", merge=True) == sha256
    with pytest.raises(ModelError, match="was trained for vector-classification; generate needs causal-lm"):
        generate(tmp_path / "out", "hello")


TEXT: dict[str, Any] = {"kind": "sequence-classification"}


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"model": {"source": "bert", "inputs": None}}, "task.kind vector-classification does not fit model.source"),
        ({"task": TEXT}, "task.kind sequence-classification does not fit model.source 'builtin:logistic'"),
        ({"task": {"kind": "causal-lm", "labels": ()}}, "task.kind causal-lm does not fit model.source"),
        ({"model": {"source": "bert"}, "task": TEXT}, "inputs and hidden are for builtin models"),
        ({"model": {"source": "builtin:cnn"}}, "'builtin:cnn' is unknown; there are builtin:mlp and builtin:logistic"),
        ({"model": {"inputs": None}}, "inputs: builtin:logistic needs the number of numbers"),
        ({"model": {"inputs": 0}}, "greater than 0"),
        ({"model": {"source": "builtin:mlp"}}, "hidden: builtin:mlp needs the widths"),
        ({"model": {"hidden": (8,)}}, "builtin:logistic has none"),
        ({"model": {"dtype": "bfloat16"}}, "drawn here in float32"),
        ({"model": {"revision": "main"}}, "it has no revision"),
        ({"labels": ("0",)}, "at least two distinct labels"),
        ({"adapter": {"kind": "core"}}, "adapter.kind must be full"),
        ({"adapter": {"kind": "lora"}}, "adapter.kind must be full"),
        ({"adapter": {"train_head": False}}, "with train_head"),
        ({"training": {"dropout": 0.1}}, "without training.dropout"),
        ({"data": {"prompt": "a", "response": "b"}}, "reads data.features"),
        ({"data": {"source": None, "test_share": 0.1}}, "test_share: it is a part of data.source"),
        ({"data": {"test": "a.csv", "test_share": 0.1}}, "give one of the two"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(sections: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        vector_experiment(**sections)


def test_the_readmes_experiment_is_sound() -> None:
    text = (Path(__file__).parents[2] / "README.md").read_text()
    block = text[text.index("    model: {source: builtin:mlp") :].partition("\n\n")[0]
    experiment = parse_experiment(textwrap.dedent(block), source="README.md")

    assert (experiment.model.builtin, experiment.model.hidden, experiment.data.test_share) == ("mlp", (32,), 0.2)
