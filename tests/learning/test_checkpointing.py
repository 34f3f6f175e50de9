"""Layers that run again in the backward pass: the same steps, bit for bit, at level none and at level example."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from torch import nn

from gossipfl.config.experiment import Experiment
from gossipfl.errors import ConfigError, PrivacyError
from gossipfl.learning.adapters import Adapted
from gossipfl.learning.bench import build_learner
from gossipfl.learning.books import RunTerms
from gossipfl.learning.checkpointing import checkpoint_activations, refuse_hooks
from gossipfl.learning.data import DataSite

PRIVATE = {"level": "example", "noise_multiplier": 1.0, "target_delta": 1e-3, "engine": "grouped"}
Make = Callable[..., Experiment]


def trained(experiment: Experiment, folder: Path, **sections: dict[str, Any]) -> tuple[np.ndarray, int]:
    """Values after two steps, and how often a part of the last layer has run in them."""
    content = experiment.model_dump()
    training = {"batch_size": 4, "micro_batch": 2, "device": "cpu", "threads": 1, "learning_rate": 0.05}
    for section, fields in {"data": {"held_out": 0.0}, "task": {"max_length": 32}, **sections}.items():
        content[section].update(fields)
    content["training"].update({**training, **sections.get("training", {})})
    rows = [{"text": " ".join(f"w{row + word}" for word in range(2 + row)), "label": "red"} for row in range(4)]
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    name = "".join(str(value) for value in sections.get("training", {}).values())
    terms = RunTerms("r", ledger=f"{name}.sqlite", streams="seeded")
    bench = build_learner(Experiment.model_validate(content), DataSite("a", ("a",), "a.jsonl", folder, folder), terms)
    runs: list[object] = []
    layers = next(part for part in bench.adapted.module.modules() if isinstance(part, nn.ModuleList))
    inside = next(part for part in layers[-1].modules() if isinstance(part, nn.Linear))
    inside.register_forward_hook(lambda *_: runs.append(1))
    state = bench.learner.train(bench.adapted.initial, first_step=0, steps=2).state
    bench.close()
    return state.vector, len(runs)


@pytest.mark.parametrize(
    ("family", "task", "privacy"),
    [
        ("llama", "causal-lm", {"level": "none"}),
        ("llama", "causal-lm", PRIVATE),
        ("bert", "sequence-classification", PRIVATE),
    ],
)
def test_steps_are_the_same_to_the_bit_and_layers_run_twice(
    family: str, task: str, privacy: dict[str, Any], experiment_of: Make, tmp_path: Path
) -> None:
    targets = ("q_proj", "v_proj") if family == "llama" else ("query", "value")
    experiment = experiment_of(family, task=task, kind="lora", targets=targets)
    plain, once = trained(experiment, tmp_path, privacy=privacy)
    again, twice = trained(experiment, tmp_path, privacy=privacy, training={"gradient_checkpointing": True})
    assert np.array_equal(plain, again)
    # two steps of two passes each; the engine's look at what layers are fed goes forward alone
    assert twice == once + 4


def test_hooks_are_refused(experiment_of: Make, adapted_of: Callable[..., Adapted]) -> None:
    content = experiment_of("llama", task="causal-lm", kind="lora").model_dump()
    content["training"]["gradient_checkpointing"] = True
    content["privacy"] = {"level": "example", "noise_multiplier": 1.0, "engine": "hooks"}
    with pytest.raises(ValidationError, match="set engine grouped or auto"):
        Experiment.model_validate(content)
    module = adapted_of("llama", task="causal-lm", kind="lora").module
    refuse_hooks(module, "hooks")
    checkpoint_activations(module)
    refuse_hooks(module, "grouped")
    with pytest.raises(PrivacyError, match=r"gradient_checkpointing needs privacy\.engine grouped"):
        refuse_hooks(module, "hooks")


def test_a_model_that_cannot_says_so() -> None:
    with pytest.raises(ConfigError, match="a Linear cannot compute its activations again"):
        checkpoint_activations(nn.Linear(2, 2))
