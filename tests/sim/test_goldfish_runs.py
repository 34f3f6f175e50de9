"""Goldfish loss in whole runs: every engine, and every source of single gradients, trains on the same tokens."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.learning.test_learner import opened, with_fields
from tests.sim.training import PRIVACY, play, sentences, with_engine

from gossipfl.config.experiment import Experiment
from gossipfl.learning.data.examples import IGNORED
from gossipfl.learning.tasks import make_task
from gossipfl.privacy.sources import ENGINES, Engine

GOLDFISH = {"training__loss": "goldfish", "training__goldfish": {"k": 2, "h": 2}}
CLOSE = 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("level", ["none", "example"])
def test_batched_is_the_loop_and_neither_trains_on_what_is_left_out(
    tmp_path: Path, tiny_folders: dict[str, Path], level: str
) -> None:
    fields: dict[str, Any] = {"privacy": PRIVACY[level], "training__phases": 3}
    content = sentences(tmp_path, tiny_folders["llama"], "causal-lm", **GOLDFISH, **fields)
    plain = sentences(tmp_path, tiny_folders["llama"], "causal-lm", **fields)

    looped, batched, learned_all = (
        play(tmp_path, with_engine(each, engine)).vectors
        for each, engine in ((content, "loop"), (content, "batched"), (plain, "loop"))
    )

    np.testing.assert_allclose(batched, looped, rtol=0, atol=CLOSE)
    assert np.abs(looped - learned_all).max() > 100 * CLOSE


@pytest.mark.parametrize("engine", ["hooks", "grouped"])
def test_a_single_gradient_is_that_of_transformers_own_loss_over_the_tokens_left(
    experiment_of: Callable[..., Experiment], tmp_path: Path, engine: Engine
) -> None:
    training = {"loss": "goldfish", "goldfish": {"k": 2, "h": 2}, "device": "cpu", "threads": 1}
    fields: dict[str, dict[str, Any]] = {"training": training, "task": {"max_length": 60}}
    experiment = with_fields(experiment_of("llama", task="causal-lm"), **fields)
    with opened(experiment, tmp_path) as bench:
        module = bench.adapted.module
        rows = next(bench.data.train.load(np.arange(6), micro_batch=6))
        assert bool((rows.tensors["labels"][:, 3:] == IGNORED).any())
        parameters = list(bench.adapted.trained.values())
        own = []
        for row in range(rows.count):
            module.zero_grad()
            module(**rows.row(row).tensors).loss.backward()
            own.append([parameter.grad.clone() for parameter in parameters if parameter.grad is not None])
        module.zero_grad()
        source = ENGINES[engine](module, make_task(experiment.task).losses)
        names = {id(parameter): place for place, parameter in enumerate(parameters)}
        order = [names[id(each)] for each in module.parameters() if each.requires_grad]
        for found, place in zip(source.unit_gradients(rows), order, strict=True):
            expected = np.stack([gradients[place].numpy() for gradients in own])
            np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-6)
        source.close()
