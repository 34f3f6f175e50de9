"""Every engine trains as the loop does, and the loop is a real node's own code."""

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.sim.training import (
    NOISE,
    PRIVACY,
    UPDATE,
    Content,
    Played,
    build,
    digits,
    play,
    resume,
    sentences,
    with_engine,
)

from gossipfl.core.events import Train
from gossipfl.learning.together import Phase, Together
from gossipfl.privacy.accounting import Charge
from gossipfl.privacy.grouped.gradients import GroupedGradients
from gossipfl.privacy.grouped.seam import Group
from gossipfl.runs.fleet import Fleet
from gossipfl.sim.engines.batched import BatchedEngine
from gossipfl.sim.engines.loop import LoopEngine
from gossipfl.sim.trainers import Engine
from gossipfl.state import AdapterState

CLOSE = 1e-5
STEPS = 50
RATES = {"sgd": 0.05, "adamw": 0.002}


def both(folder: Path, content: Content) -> tuple[Played, Played]:
    """The same run by the loop and batched, in the same folder."""
    looped, batched = (play(folder, with_engine(content, engine)) for engine in ("loop", "batched"))
    assert isinstance(looped.training.engine, LoopEngine)
    assert isinstance(batched.training.engine, BatchedEngine)
    return looped, batched


def assert_close(looped: Played, batched: Played) -> None:
    moved = np.abs(looped.vectors - looped.training.crew.initial.vector).max()
    assert moved > 1000 * CLOSE
    np.testing.assert_allclose(batched.vectors, looped.vectors, rtol=0, atol=CLOSE)
    assert batched.steps == looped.steps


@pytest.mark.slow
@pytest.mark.parametrize("level", ["none", "example", "update"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_batched_is_the_loop_on_digits(tmp_path: Path, optimizer: str, level: str) -> None:
    noise = {"privacy": PRIVACY[level]}
    wanted = {"training__optimizer": optimizer, "training__learning_rate": RATES[optimizer], **noise}
    looped, batched = both(tmp_path, digits(**wanted))
    assert set(looped.steps.values()) == {STEPS}
    assert_close(looped, batched)


TASKS = {"llama": "causal-lm", "bert": "sequence-classification"}
# every two of model, optimizer and level meet in a case that is not slow
MODELS = [
    pytest.param(model, optimizer, level, marks=[] if quick else [pytest.mark.slow], id=f"{model}-{optimizer}-{level}")
    for model, optimizer, level, quick in (
        ("llama", "sgd", "none", True),
        ("llama", "adamw", "example", True),
        ("bert", "sgd", "example", True),
        ("bert", "adamw", "none", True),
        ("llama", "sgd", "example", False),
        ("llama", "adamw", "none", False),
        ("bert", "sgd", "none", False),
        ("bert", "adamw", "example", False),
        ("bert", "adamw", "update", False),
        ("llama", "sgd", "update", False),
    )
]


@pytest.mark.parametrize(("model", "optimizer", "level"), MODELS)
@pytest.mark.slow
def test_batched_is_the_loop_on_transformers(  # fixtures and cases
    tmp_path: Path, tiny_folders: dict[str, Path], model: str, optimizer: str, level: str
) -> None:
    noise = {"privacy": PRIVACY[level]}
    wanted = {"training__optimizer": optimizer, "training__learning_rate": RATES[optimizer], **noise}
    looped, batched = both(tmp_path, sentences(tmp_path, tiny_folders[model], TASKS[model], **wanted))
    assert set(looped.steps.values()) == {STEPS}
    assert_close(looped, batched)


@pytest.mark.slow
@pytest.mark.parametrize("level", ["none", "example"])
def test_units_of_several_rows_are_one_unit_in_both(tmp_path: Path, tiny_folders: dict[str, Path], level: str) -> None:
    few = {"data__max_per_unit": 3, "training__phases": 4}
    content = sentences(tmp_path, tiny_folders["bert"], "sequence-classification", **few)
    content["privacy"] = {**NOISE, "noise_multiplier": 0.01} if level == "example" else {"level": "none"}
    looped, batched = both(tmp_path, content)
    fleet = fleet_of(looped)
    assert all(bench.data.train.rows > 2 * bench.data.train.units for bench in fleet.benches.values())
    assert_close(looped, batched)


def fleet_of(played: Played) -> Fleet:
    assert isinstance(played.training.crew, Fleet)
    return played.training.crew


# ---- a budget that ends ----


def test_a_node_whose_budget_ends_early_stops_at_the_same_step_in_both(tmp_path: Path) -> None:
    privacy = {**NOISE, "noise_multiplier": None, "target_epsilon": 8.0}
    ends: list[Played] = []
    for engine in ("loop", "batched"):
        played = build(tmp_path, with_engine(digits(privacy=privacy), engine))
        fleet = fleet_of(played)
        plan = fleet.benches["n1"].plan
        assert plan is not None
        # as if somebody had spent it before: 23 steps are left
        fleet.simulated["n1"].charge(Charge(plan.sample_rate, plan.noise_multiplier, STEPS - 23))
        played.world.run()
        ends.append(played)
    looped, batched = ends
    assert looped.steps == {"n0": STEPS, "n1": 23, "n2": STEPS, "n3": STEPS}
    assert looped.world.bodies["n1"].snapshot.exhausted
    assert all(body.finished for body in looped.world.bodies.values())
    assert_close(looped, batched)


# ---- memory ----


class Tight(GroupedGradients):
    """A machine whose memory holds so many rows: for more, torch is asked for what it cannot have."""

    def __init__(self, fleet: Fleet, *, room: int) -> None:
        super().__init__(fleet.resident.adapted.module, fleet.resident.task.losses)
        self.room = room
        self.passes: list[int] = []
        self.refused: list[int] = []

    def sums(self, groups: Sequence[Group]) -> torch.Tensor:
        rows = sum(group.rows.count for group in groups)
        if rows > self.room:
            self.refused.append(rows)
            torch.empty(1 << 60)
        self.passes.append(rows)
        return super().sums(groups)


def tight(fleet: Fleet, *, room: int) -> tuple[Together, Tight]:
    together = Together(fleet.resident, fleet.benches, most_rows=1024)
    together._gradients = gradients = Tight(fleet, room=room)
    return together, gradients


def phases_of(fleet: Fleet, steps: int) -> list[Phase]:
    return [Phase(name, fleet.initial, 0, steps) for name in fleet.benches]


def test_out_of_memory_halves_the_pass_and_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    free, short = (fleet_of(build(tmp_path, digits(simulation__nodes=8))) for _ in range(2))
    wanted = Together(free.resident, free.benches, most_rows=1024).train(phases_of(free, 5))
    together, gradients = tight(short, room=60)
    with caplog.at_level(logging.WARNING):
        found = together.train(phases_of(short, 5))
    for one, other in zip(found, wanted, strict=True):
        assert one.steps == 5
        assert one.receipt.steps == other.receipt.steps == 5
        np.testing.assert_allclose(one.state.vector, other.state.vector, rtol=0, atol=CLOSE)
    # 8 nodes with up to 16 rows: halved once or twice in the first step, and never again
    assert 1 <= len(gradients.refused) <= 2
    assert len([record for record in caplog.records if "out of memory" in record.message]) == len(gradients.refused)
    assert max(gradients.passes) <= gradients.refused[-1] // 2


def test_what_does_not_fit_even_for_one_node_is_an_error(tmp_path: Path) -> None:
    together, _ = tight(fleet := fleet_of(build(tmp_path, digits())), room=3)
    with pytest.raises(RuntimeError, match="allocate memory"):
        together.train(phases_of(fleet, 1))


class Broken(GroupedGradients):
    """Fails with something that is no lack of memory."""

    def sums(self, groups: Sequence[Group]) -> torch.Tensor:
        raise RuntimeError(f"{len(groups)} shapes do not fit")


def test_another_error_is_not_taken_for_a_lack_of_memory(tmp_path: Path) -> None:
    fleet = fleet_of(build(tmp_path, digits()))
    together, _ = tight(fleet, room=1024)
    together._gradients = Broken(fleet.resident.adapted.module, fleet.resident.task.losses)
    with pytest.raises(RuntimeError, match="4 shapes do not fit"):
        together.train(phases_of(fleet, 1))


# ---- what cannot be grouped ----


def test_dropout_falls_back_to_the_loop_and_says_so(
    tmp_path: Path, tiny_folders: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    content = sentences(tmp_path, tiny_folders["bert"], "sequence-classification", training__dropout=0.1)
    played = build(tmp_path, with_engine(content, "batched"))
    assert isinstance(played.training.engine, LoopEngine)
    assert "engine loop instead of batched: training.dropout" in caplog.text


def test_a_model_that_cannot_be_grouped_falls_back_to_the_loop_and_says_why(
    tmp_path: Path, tiny_folders: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    # a T5's table of relative positions is fed no examples
    content = sentences(tmp_path, tiny_folders["t5"], "sequence-classification", adapter={"kind": "full"})
    played = build(tmp_path, with_engine(content, "auto"))
    assert isinstance(played.training.engine, LoopEngine)
    assert "engine loop instead of batched: layer" in caplog.text
    assert "relative_attention_bias is fed" in caplog.text


# ---- one phase at a time ----


def test_the_composed_epsilon_of_a_nominal_one_is_what_a_run_reports_by_every_engine(tmp_path: Path) -> None:
    # the error of tutorials: noise for ε = 8 in each of 20 rounds
    nominal = {"level": "update", "nominal_epsilon": 8.0, "target_delta": 1e-5}
    content = digits(privacy=nominal, training__phases=20, training__local_steps=1)
    for engine in ("loop", "batched"):
        result = resume(tmp_path / engine, with_engine(content, engine))
        last = json.loads((result.output / "metrics.jsonl").read_text().splitlines()[-1])
        assert result.epsilon == pytest.approx(57.97, abs=0.005)
        assert last["epsilon"] == result.epsilon


def test_a_budget_of_phases_ends_at_the_same_phase_in_both_and_no_step_is_trained_beyond(tmp_path: Path) -> None:
    privacy = {**UPDATE, "noise_multiplier": None, "target_epsilon": 8.0}
    ends: list[Played] = []
    for engine in ("loop", "batched"):
        played = build(tmp_path, with_engine(digits(privacy=privacy), engine))
        fleet = fleet_of(played)
        plan = fleet.benches["n1"].plan
        assert plan is not None
        assert (plan.sample_rate, plan.steps) == (1.0, 10)
        # as if somebody had spent it before: 3 phases of 5 steps are left
        fleet.simulated["n1"].charge(Charge(1.0, plan.noise_multiplier, 7))
        played.world.run()
        ends.append(played)
    for played in ends:
        assert played.steps == {"n0": STEPS, "n1": 15, "n2": STEPS, "n3": STEPS}
        assert played.world.bodies["n1"].snapshot.receipt.steps == 10
        assert fleet_of(played).simulated["n1"].epsilon() <= 8.0
    np.testing.assert_allclose(ends[1].vectors, ends[0].vectors, rtol=0, atol=CLOSE)


@pytest.mark.parametrize("make", [LoopEngine, lambda fleet: BatchedEngine(fleet, most_rows=1024)])
def test_moments_put_back_undo_a_phase(tmp_path: Path, make: Callable[[Fleet], Engine[AdapterState]]) -> None:
    fleet = fleet_of(build(tmp_path, digits()))
    engine = make(fleet)
    first, again = Train(0, fleet.initial, 0, 5), Train(1, fleet.initial, 5, 5)
    engine.compute([("n0", first), ("n1", first)])
    before = engine.moments("n0")
    wanted = engine.compute([("n0", again), ("n1", again)])[0].state.vector
    engine.restore("n0", before)
    # the other node's moments are beside the point
    found = engine.compute([("n0", again), ("n1", again)])[0].state.vector
    assert np.array_equal(found, wanted)
