"""The learner as a node has it: built from files, on the tiny BERT, with the mechanisms of `privacy`."""

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gossipfl.config.experiment import Experiment
from gossipfl.errors import ConfigError, DataError, PrivacyError, TrainingError
from gossipfl.learning.bench import Bench, build_learner
from gossipfl.learning.books import RunTerms
from gossipfl.learning.data import DataSite
from gossipfl.learning.learner import Training
from gossipfl.state import AdapterState

COLORS = {"red": "w1", "green": "w2", "blue": "w3"}
RECORDS = 60


@pytest.fixture
def experiment(experiment_of: Callable[..., Experiment]) -> Experiment:
    return with_fields(
        experiment_of("bert", kind="lora", targets=("query", "value")),
        training={"batch_size": 12, "micro_batch": 12, "learning_rate": 0.02, "device": "cpu", "threads": 1},
    )


def with_fields(experiment: Experiment, **sections: dict[str, Any]) -> Experiment:
    content = experiment.model_dump()
    for name, fields in sections.items():
        content[name].update(fields)
    return Experiment.model_validate(content)


def write_records(folder: Path, *, persons: int = RECORDS) -> None:
    """The color that a text names is its label: a task that every model can learn."""
    draw = np.random.default_rng(5)
    rows = []
    for row in range(RECORDS):
        label = list(COLORS)[row % 3]
        noise = [f"w{number}" for number in draw.integers(10, 60, draw.integers(2, 9))]
        text = " ".join([*noise[:1], COLORS[label], *noise[1:]])
        rows.append({"text": text, "label": label, "person": f"p{row % persons}"})
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@contextmanager
def opened(experiment: Experiment, folder: Path, *, run: str = "r", persons: int = RECORDS) -> Iterator[Bench]:
    write_records(folder, persons=persons)
    site = DataSite("a", ("a", "b"), "a.jsonl", folder, folder)
    terms = RunTerms(run, ledger=f"{run}.sqlite", streams="seeded")
    bench = build_learner(experiment, site, terms)
    try:
        yield bench
    finally:
        bench.close()


def trained(
    bench: Bench, *, phases: int, steps: int, first: int = 0, state: AdapterState | None = None
) -> AdapterState:
    state = bench.adapted.initial if state is None else state
    for phase in range(first, first + phases):
        state = bench.learner.train(state, first_step=phase * steps, steps=steps).state
    return state


def test_training_lowers_the_loss_and_learns_the_task(experiment: Experiment, tmp_path: Path) -> None:
    with opened(experiment, tmp_path) as bench:
        state, losses = bench.adapted.initial, []
        for phase in range(4):
            losses.append(bench.learner.evaluate(state, bench.data.train).loss)
            state = trained(bench, phases=1, steps=10, first=phase, state=state)
        last = bench.learner.evaluate(state, bench.data.train)

    assert losses == sorted(losses, reverse=True)
    assert last.loss < 0.5 * losses[0]
    assert last.accuracy is not None
    assert last.accuracy > 0.9


def test_training_leaves_the_snapshot_alone_and_gives_what_the_model_holds(
    experiment: Experiment, tmp_path: Path
) -> None:
    with opened(experiment, tmp_path) as bench:
        snapshot = bench.adapted.initial
        before = snapshot.vector.copy()
        training = bench.learner.train(snapshot, first_step=0, steps=3)
        after = bench.adapted.read()

    assert np.array_equal(snapshot.vector, before)
    assert training.state == after
    assert training.state != snapshot
    assert (training.steps, training.units, training.exhausted) == (3, 12.0, False)


PRIVATE: dict[str, Any] = {"level": "example", "noise_multiplier": 0.8}
PLAIN: dict[str, Any] = {"level": "none"}
UPDATE: dict[str, Any] = {"level": "update", "noise_multiplier": 0.05, "max_grad_norm": 0.3}


@pytest.mark.parametrize(
    ("privacy", "dropout"),
    [(PLAIN, 0.0), (PLAIN, 0.3), (PRIVATE, 0.0), (UPDATE, 0.3)],
    ids=["none", "dropout", "example", "update"],
)
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(
    experiment: Experiment, tmp_path: Path, privacy: dict[str, Any], dropout: float
) -> None:
    experiment = with_fields(
        experiment, privacy=privacy, training={"schedule": "cosine", "warmup_steps": 3, "dropout": dropout}
    )
    with opened(experiment, tmp_path, run="whole") as bench:
        whole = trained(bench, phases=4, steps=2)
    with opened(experiment, tmp_path, run="parts") as bench:
        half = trained(bench, phases=2, steps=2)
        moments = bench.learner.durable()
    with opened(experiment, tmp_path, run="parts") as bench:
        bench.learner.restore(moments)
        rest = trained(bench, phases=2, steps=2, first=2, state=half)

    assert rest == whole


@pytest.mark.parametrize("privacy", [PLAIN, PRIVATE], ids=["none", "example"])
def test_the_size_of_a_micro_batch_changes_nothing(
    experiment: Experiment, tmp_path: Path, privacy: dict[str, Any]
) -> None:
    states = []
    for size in (100, 5, 1):
        # sgd: adam's first steps go by the sign of a gradient, however close to 0
        training = {"micro_batch": size, "optimizer": "sgd", "learning_rate": 0.1}
        with opened(with_fields(experiment, privacy=privacy, training=training), tmp_path, run=f"r{size}") as bench:
            states.append(trained(bench, phases=2, steps=2).vector)

    np.testing.assert_allclose(states[1], states[0], atol=1e-5)
    np.testing.assert_allclose(states[2], states[0], atol=1e-5)


def test_units_are_persons_where_the_data_names_them(experiment: Experiment, tmp_path: Path) -> None:
    experiment = with_fields(experiment, data={"unit": "person", "max_per_unit": 2}, privacy=PRIVATE)
    with opened(experiment, tmp_path, persons=20) as bench:
        data, plan = bench.data, bench.plan
        training = bench.learner.train(bench.adapted.initial, first_step=0, steps=2)

    assert plan is not None
    assert (data.train.units + data.held_out.units, data.left_out) == (20, 20)
    assert data.train.rows == 2 * data.train.units
    assert plan.units == data.train.units
    assert plan.delta == min(1e-3, 1 / (2 * plan.units))
    # three records of each person in the files: the account knows all of them, and the person
    assert len(data.tags) == 4 * data.train.units
    assert training.units == pytest.approx(12)


def test_what_is_charged_is_what_was_done(experiment: Experiment, tmp_path: Path) -> None:
    with opened(with_fields(experiment, privacy=PRIVATE), tmp_path) as bench:
        first = bench.learner.train(bench.adapted.initial, first_step=0, steps=2)
        second = bench.learner.train(bench.adapted.initial, first_step=2, steps=3)

    assert (first.receipt.charges, second.receipt.charges) == (2, 5)
    assert 0 < first.receipt.epsilon < second.receipt.epsilon < math.inf
    assert bench.private is False


def test_a_spent_budget_ends_the_phase_and_keeps_what_was_paid_for(experiment: Experiment, tmp_path: Path) -> None:
    experiment = with_fields(
        experiment,
        privacy={"level": "example", "target_epsilon": 3.0, "accountant": "rdp"},
        training={"phases": 1, "local_steps": 4},
    )
    with opened(experiment, tmp_path) as bench:
        training: Training = bench.learner.train(bench.adapted.initial, first_step=0, steps=50)
        again = bench.learner.train(bench.adapted.initial, first_step=50, steps=1)

    assert training.exhausted
    assert 4 <= training.steps < 50
    assert training.state != bench.adapted.initial
    assert training.receipt.epsilon <= 3.0
    assert (again.steps, again.exhausted, again.state) == (0, True, bench.adapted.initial)


# ---- level update ----


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase from the start."""

    training: Training
    increment: AdapterState


def phase_of(bench: Bench, steps: int) -> Phase:
    start = bench.adapted.initial
    training = bench.learner.train(start, first_step=0, steps=steps)
    return Phase(training, training.state - start)


def plain_and_noised(
    experiment: Experiment, folder: Path, *, steps: int = 4, asked: int | None = None, **fields: Any
) -> tuple[Phase, Phase]:
    """A phase of `steps` steps without privacy; and one at level update, asked for more and stopped after as many."""
    found = []
    for privacy, wished in ((PLAIN, steps), ({**UPDATE, **fields}, asked or steps)):
        with opened(with_fields(experiment, privacy=privacy), folder, run=privacy["level"]) as bench:
            if wished > steps:
                stop_after(bench, steps)
            found.append(phase_of(bench, wished))
    return found[0], found[1]


def stop_after(bench: Bench, steps: int) -> None:
    """Has the learner stopped, as by another thread, during the last of so many steps."""
    optimizer = bench.learner._optimizer
    step = optimizer.step

    def counted(index: int) -> None:
        if index == steps - 1:
            bench.learner.stop()
        step(index)

    optimizer.step = counted  # type: ignore[method-assign]


def test_a_phase_at_level_update_is_a_plain_one_clipped_and_noised(experiment: Experiment, tmp_path: Path) -> None:
    plain, noised = plain_and_noised(experiment, tmp_path)
    limit, size = 0.3, plain.increment.spec.size
    assert abs(plain.increment) > limit
    noise = noised.increment.vector - plain.increment.vector * np.float32(limit / abs(plain.increment))
    assert np.linalg.norm(noise) == pytest.approx(0.05 * limit * math.sqrt(size), rel=0.1)
    done = noised.training
    assert (done.steps, done.units, done.exhausted) == (4, plain.training.units, False)
    assert (done.receipt.steps, done.receipt.charges) == (1, 1)


def test_a_phase_cut_short_is_clipped_noised_and_charged_like_a_whole_one(
    experiment: Experiment, tmp_path: Path
) -> None:
    plain, cut = plain_and_noised(experiment, tmp_path, asked=50)
    assert cut.training.steps == 4
    assert cut.training.receipt.charges == 1
    short = plain.increment.vector * np.float32(0.3 / abs(plain.increment))
    noise = 0.05 * 0.3 * math.sqrt(plain.increment.spec.size)
    assert float(np.linalg.norm(cut.increment.vector - short)) == pytest.approx(noise, rel=0.1)


def test_a_phase_that_the_budget_does_not_allow_is_not_trained(experiment: Experiment, tmp_path: Path) -> None:
    experiment = with_fields(
        experiment,
        privacy={"level": "update", "target_epsilon": 3.0},
        training={"phases": 2, "local_steps": 3},
    )
    with opened(experiment, tmp_path) as bench:
        state = trained(bench, phases=2, steps=3)
        again = bench.learner.train(state, first_step=6, steps=3)
        assert bench.adapted.read() == state
        assert (again.steps, again.exhausted, again.state) == (0, True, state)
        assert 0.99 * 3 <= again.receipt.epsilon <= 3.0
        assert again.receipt.charges == 2


def test_a_phase_redone_after_a_crash_is_charged_again_and_takes_fresh_noise(
    experiment: Experiment, tmp_path: Path
) -> None:
    write_records(tmp_path)
    # every record in every batch: only the noise can differ
    experiment = with_fields(experiment, privacy=UPDATE, training={"batch_size": 100, "max_grad_norm": 1.0})
    site = DataSite("a", ("a",), "a.jsonl", tmp_path, tmp_path)
    lives = []
    for _ in range(2):
        bench = build_learner(experiment, site, RunTerms("run", ledger="l.sqlite"))
        lives.append(bench.learner.train(bench.adapted.initial, first_step=0, steps=2))
        bench.close()
    assert [life.receipt.charges for life in lives] == [1, 2]
    assert lives[1].receipt.epsilon > lives[0].receipt.epsilon
    assert np.mean(lives[0].state.vector != lives[1].state.vector) > 0.99


def test_an_account_is_not_continued_at_another_level(experiment: Experiment, tmp_path: Path) -> None:
    with opened(with_fields(experiment, privacy=PRIVATE), tmp_path) as bench:
        trained(bench, phases=1, steps=1)
    message = "privacy.level update: account 1 of these records was charged at level example.*--new-account"
    with pytest.raises(PrivacyError, match=message), opened(with_fields(experiment, privacy=UPDATE), tmp_path):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("privacy", [PLAIN, PRIVATE], ids=["none", "example"])
def test_a_language_model_learns_responses(
    experiment_of: Callable[..., Experiment], tmp_path: Path, privacy: dict[str, Any]
) -> None:
    experiment = with_fields(
        experiment_of("llama", task="causal-lm", kind="lora", targets=("q_proj", "v_proj")),
        task={"max_length": 32},
        data={"prompt": "text", "response": "label"},
        training={"batch_size": 20, "micro_batch": 8, "learning_rate": 0.02, "device": "cpu", "threads": 1},
        privacy={**privacy, **({"noise_multiplier": 0.3} if privacy is PRIVATE else {})},
    )
    with opened(experiment, tmp_path) as bench:
        before = bench.learner.evaluate(bench.adapted.initial, bench.data.train)
        after = bench.learner.evaluate(trained(bench, phases=2, steps=8), bench.data.train)

    assert after.loss < before.loss
    assert (after.accuracy, before.accuracy) == (None, None)
    assert after.perplexity is not None
    assert before.perplexity is not None
    assert after.perplexity < before.perplexity


def test_real_nodes_of_equal_seed_and_data_do_not_train_alike(experiment: Experiment, tmp_path: Path) -> None:
    write_records(tmp_path)
    site = DataSite("a", ("a",), "a.jsonl", tmp_path, tmp_path)
    states = []
    for run in ("one", "two"):
        torch.manual_seed(0)
        bench = build_learner(with_fields(experiment, privacy=PRIVATE), site, RunTerms(run, ledger=f"{run}.sqlite"))
        states.append(trained(bench, phases=1, steps=1))
        assert bench.private
        bench.close()

    assert states[0] != states[1]


def test_the_ledger_lies_beside_the_data(experiment: Experiment, tmp_path: Path) -> None:
    write_records(tmp_path)
    site = DataSite("a", ("a",), "a.jsonl", tmp_path, tmp_path)

    build_learner(with_fields(experiment, privacy=PRIVATE), site, RunTerms("r")).close()

    assert (tmp_path / "a.jsonl.ledger.sqlite").exists()


def test_training_that_runs_away_is_one_clear_error(experiment: Experiment, tmp_path: Path) -> None:
    with (
        opened(with_fields(experiment, training={"learning_rate": 1e38, "optimizer": "sgd"}), tmp_path) as bench,
        pytest.raises(TrainingError, match=r"diverged between steps 0 and 8.*training\.learning_rate 1e\+38"),
    ):
        bench.learner.train(bench.adapted.initial, first_step=0, steps=8)


def test_a_stopped_learner_does_no_step(experiment: Experiment, tmp_path: Path) -> None:
    with opened(experiment, tmp_path) as bench:
        bench.learner.stop()
        training = bench.learner.train(bench.adapted.initial, first_step=0, steps=5)

    assert (training.steps, training.exhausted, training.state) == (0, False, bench.adapted.initial)


@pytest.mark.parametrize(
    ("sections", "error", "message"),
    [
        ({"task": {"max_length": 100_000}}, ConfigError, "task.max_length 100000 is beyond the model"),
        ({"privacy": {"level": "exmaple", "noise_multiplier": 1.0}}, ConfigError, "privacy.level.*did you mean"),
        ({"training": {"device": "cuda:77"}}, ConfigError, "training.device: 'cuda:77' cannot be used here"),
        ({"privacy": {**PRIVATE, "target_delta": 0.1}}, PrivacyError, "privacy.target_delta 0.1"),
        ({"data": {"test": "gone.csv"}}, DataError, "gone.csv.* does not exist"),
        ({"data": {"text": "words"}}, DataError, "no column 'words'"),
    ],
)
def test_mistakes_come_before_training_as_one_line(
    experiment: Experiment, tmp_path: Path, sections: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as caught, opened(with_fields(experiment, **sections), tmp_path):
        pass

    assert "\n" not in str(caught.value)
