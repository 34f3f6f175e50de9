"""Factors that are trained in turn: which one in which phase, what rests, and under noise too."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.learning.test_learner import PLAIN, PRIVATE, UPDATE, opened, with_fields

from gossipfl.config.experiment import Experiment
from gossipfl.learning.bench import Bench
from gossipfl.learning.tasks import make_task
from gossipfl.privacy.grouped.gradients import GroupedGradients
from gossipfl.privacy.grouped.seam import Group
from gossipfl.privacy.sources import ENGINES, Engine
from gossipfl.privacy.sources.clip import Clip
from gossipfl.privacy.sources.seam import pieces, trainable, zeros_for
from gossipfl.state import AdapterState

LEVELS = [
    pytest.param(PLAIN, id="none"),
    pytest.param({**PRIVATE, "engine": "hooks"}, id="hooks"),
    pytest.param({**PRIVATE, "engine": "grouped"}, id="grouped"),
    pytest.param(UPDATE, id="update"),
]
Prepare = Callable[..., Experiment]


@pytest.fixture
def prepared(experiment_of: Prepare) -> Callable[..., Experiment]:
    def make(kind: str = "alternating", *, training: dict[str, Any] | None = None, **adapter: Any) -> Experiment:
        usual = {"batch_size": 12, "micro_batch": 5, "learning_rate": 0.02, "device": "cpu", "threads": 1}
        found = experiment_of("bert", kind=kind, **adapter)
        return with_fields(found, training={**usual, **(training or {})})

    return make


def part(state: AdapterState, end: str) -> NDArray[np.float32]:
    names = [segment.name for segment in state.spec.segments if segment.name.endswith(end)]
    assert names
    return np.concatenate([state.segment(name).reshape(-1) for name in names])


def trained(
    bench: Bench, phases: range, state: AdapterState | None = None, *, steps: int = 2
) -> tuple[list[AdapterState], AdapterState]:
    """The states that the phases began with, and the last one."""
    begun, state = [], state or bench.adapted.initial
    for phase in phases:
        begun.append(state)
        state = bench.learner.train(state, first_step=phase * steps, steps=steps, phase=phase).state
    return begun, state


@pytest.mark.parametrize("privacy", LEVELS)
@pytest.mark.parametrize("every", [1, 2])
def test_one_factor_is_trained_and_the_other_rests_bit_for_bit(
    prepared: Prepare, tmp_path: Path, privacy: dict[str, Any], every: int
) -> None:
    experiment = with_fields(prepared(alternate_every=every), privacy=privacy, training={"momentum": 0.0})
    with opened(experiment, tmp_path) as bench:
        begun, last = trained(bench, range(4 * every))
    for phase, (before, after) in enumerate(zip(begun, [*begun[1:], last], strict=True)):
        resting, busy = (".lora_A", ".lora_B") if phase // every % 2 == 0 else (".lora_B", ".lora_A")
        assert np.array_equal(part(before, resting), part(after, resting))
        assert np.abs(part(before, busy) - part(after, busy)).max() > 1e-4
        assert not np.array_equal(part(before, "classifier.weight"), part(after, "classifier.weight"))


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_the_first_phase_is_one_of_ffa(prepared: Prepare, tmp_path: Path, optimizer: str) -> None:
    # the same start, the same batches; what rests is as good as frozen, weight decay among it
    settings = {"optimizer": optimizer, "momentum": 0.9 if optimizer == "sgd" else 0.0, "weight_decay": 0.1}
    ends = {}
    for kind in ("ffa", "alternating"):
        experiment = with_fields(prepared(kind, training=settings), privacy=PLAIN)
        with opened(experiment, tmp_path, run=kind) as bench:
            _, ends[kind] = trained(bench, range(1), steps=5)
    for end in (".lora_B", "classifier.weight"):
        np.testing.assert_allclose(part(ends["alternating"], end), part(ends["ffa"], end), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("engine", ["hooks", "grouped"])
def test_what_rests_counts_for_nothing_in_the_clipped_norm(prepared: Prepare, tmp_path: Path, engine: Engine) -> None:
    clip = 0.05
    with opened(with_fields(prepared(), privacy=PLAIN), tmp_path) as bench:
        adapted = bench.adapted
        # away from B = 0, where A has no gradient
        away = np.random.default_rng(0).standard_normal(adapted.spec.size).astype(np.float32)
        adapted.write(AdapterState(adapted.spec, adapted.initial.vector + np.float32(0.3) * away))
        rows = next(bench.data.train.load(np.arange(6), micro_batch=6))
        source = ENGINES[engine](adapted.module, make_task(adapted.experiment.task, autocast=None).losses)
        for phase in (0, 1):
            resting = adapted.resting_places(phase)
            each = [gradient.clone().flatten(1) for gradient in source.unit_gradients(rows)]
            assert all(float(each[place].norm()) > 1e-3 for place in resting)
            for place in resting:
                each[place] = torch.zeros_like(each[place])
            flat = torch.cat(each, dim=1)
            norms = flat.norm(dim=1, keepdim=True)
            assert float(norms.min()) > clip
            into = zeros_for(adapted.module)
            source.add(rows, Clip(clip), into, resting)
            torch.testing.assert_close(into, (flat * clip / norms).sum(0), rtol=1e-3, atol=1e-6)
        source.close()


def test_groups_that_rest_differently_share_a_pass(prepared: Prepare, tmp_path: Path) -> None:
    with opened(with_fields(prepared(), privacy=PLAIN), tmp_path) as bench:
        adapted = bench.adapted
        away = np.random.default_rng(1).standard_normal(adapted.spec.size).astype(np.float32)
        adapted.write(AdapterState(adapted.spec, adapted.initial.vector + np.float32(0.3) * away))
        batches = [next(bench.data.train.load(np.arange(first, first + 4), micro_batch=4)) for first in (0, 4, 8)]
        many = GroupedGradients(adapted.module, make_task(adapted.experiment.task, autocast=None).losses)
        for clip in (None, Clip(0.05)):
            groups = [
                Group(None, rows, clip, resting=adapted.resting_places(phase)) for phase, rows in enumerate(batches)
            ]
            together = many.sums(groups)
            for one, group in zip(together, groups, strict=True):
                torch.testing.assert_close(one, many.sums([group])[0], rtol=1e-4, atol=1e-6)
                for place in group.resting:
                    assert not pieces(one, trainable(adapted.module))[place].any()
                assert bool(one.any())


@pytest.mark.slow
@pytest.mark.parametrize("privacy", LEVELS)
def test_a_resumed_run_goes_on_with_the_factor_whose_turn_it_is(
    prepared: Prepare, tmp_path: Path, privacy: dict[str, Any]
) -> None:
    experiment = with_fields(prepared(alternate_every=2), privacy=privacy)
    with opened(experiment, tmp_path, run="whole") as bench:
        _, whole = trained(bench, range(6))
    with opened(experiment, tmp_path, run="parts") as bench:
        _, half = trained(bench, range(3))
        moments = bench.learner.durable()
    with opened(experiment, tmp_path, run="parts") as bench:
        bench.learner.restore(moments)
        _, rest = trained(bench, range(3, 6), half)
    assert rest == whole


def test_moments_of_what_rests_stay_as_they_are(prepared: Prepare, tmp_path: Path) -> None:
    with opened(with_fields(prepared(), privacy=PLAIN), tmp_path) as bench:
        _, state = trained(bench, range(2))
        before = bench.learner.durable()
        trained(bench, range(2, 3), state)
        after = bench.learner.durable()
    for key in (name for name in before if name.endswith(".lora_A")):
        assert np.array_equal(before[key], after[key])
    busy = [name for name in before if name.startswith("exp_avg/") and name.endswith(".lora_B")]
    assert busy
    assert all(not np.array_equal(before[key], after[key]) for key in busy)


def test_another_period_is_another_adapter_in_the_handshake(adapted_of: Callable[..., Any]) -> None:
    one, two, lora = (
        adapted_of("bert", kind=kind, **more).components()["adapter"]
        for kind, more in (("alternating", {}), ("alternating", {"alternate_every": 2}), ("lora", {}))
    )
    assert len({one, two, lora}) == 3


def test_turns_take_no_room_however_long_they_are(adapted_of: Callable[..., Any]) -> None:
    every = 10**12
    adapted = adapted_of("bert", kind="alternating", alternate_every=every)
    ends = [{name.rpartition(".")[2] for name in adapted.resting(phase)} for phase in (0, every - 1, every, 2 * every)]
    assert ends == [{"lora_A"}, {"lora_A"}, {"lora_B"}, {"lora_A"}]
