"""A real node's own model: made when the network is left, gone on with, kept, paid for, judged and exported."""

import json
import logging
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from tests.forked import forked
from tests.node.study import Study, give_vectors, make_study

from gossipfl.cli.app import main
from gossipfl.errors import StateError
from gossipfl.node.assembly import NodeRequest, run_node
from gossipfl.node.checkpoint import load_latest
from gossipfl.node.personal import OwnModel, own_model
from gossipfl.node.record import NodeRecord
from gossipfl.studies.fleet import Fleet

NAMES = ("ada", "bob")
EXAMPLE = {"level": "example", "target_epsilon": 8.0, "accountant": "rdp", "public_data": True}
SECTIONS: dict[str, Any] = {
    "task": {"kind": "vector-classification", "labels": [str(digit) for digit in range(10)]},
    "adapter": {"kind": "full"},
    "data": {"source": "sklearn:digits", "test_share": 0.2, "held_out": 0.2, "split": {"kind": "dirichlet"}},
    "training": {"phases": 4, "local_steps": 4, "batch_size": 64, "learning_rate": 0.02},
    "personal": {"phases": 3, "interpolate": True},
    "privacy": EXAMPLE,
}
ALONE = ("gossip.protocol=alone",)
PLAIN = ("privacy={level: none}",)


def digits_study(folder: Path) -> Study:
    study = make_study(folder, folder, names=NAMES, **SECTIONS)
    give_vectors(study, own_ledgers=True)
    return study


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Of which every test has state directories of its own; without privacy nobody charges."""
    return digits_study(tmp_path_factory.mktemp("own") / "study")


def run(study: Study, state: Path, *sets: str) -> NodeRecord:
    """Ada by herself, in this process: she neither sends nor listens."""
    request = NodeRequest(study.peers, "ada", state_dir=state, overrides=(*ALONE, *sets))
    return run_node(request, lambda _: None)


def made(state: Path) -> OwnModel:
    """The finished model of a state directory."""
    last = load_latest(state)
    assert last is not None
    return own_model(state, last.state)


class StopAt(logging.Handler):
    """Asks this process to stop when a personal phase is done."""

    def __init__(self, phase: int, number: signal.Signals) -> None:
        super().__init__()
        self._said, self._number = f"personal phase {phase} done", number

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage() == self._said:
            os.kill(os.getpid(), self._number)


@pytest.fixture
def stop_at() -> Iterator[Callable[[int, signal.Signals], None]]:
    """Has this process asked to stop after a personal phase, once."""
    log, before = logging.getLogger("gossipfl.node.personal"), logging.getLogger("gossipfl.node.personal").level
    log.setLevel(logging.INFO)
    handlers: list[StopAt] = []

    def ask(phase: int, number: signal.Signals) -> None:
        handlers.append(StopAt(phase, number))
        log.addHandler(handlers[-1])

    yield ask
    log.setLevel(before)
    for handler in handlers:
        log.removeHandler(handler)


Command = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in this process: exit code, its JSON result, and what went to stderr."""

    def call(*arguments: object) -> tuple[int, dict[str, Any], str]:
        code = main([*map(str, arguments), "--json"])
        shown = capsys.readouterr()
        lines = shown.out.splitlines()
        return code, json.loads(lines[-1]) if lines else {}, shown.err

    return call


@pytest.mark.parametrize(
    ("number", "state"),
    [
        (signal.SIGTERM, "stopped"),
        pytest.param(signal.SIGINT, "interrupted", marks=pytest.mark.slow),
    ],
)
def test_stopped_among_its_phases_it_goes_on_and_ends_as_if_uninterrupted(
    study: Study,
    tmp_path: Path,
    stop_at: Callable[[int, signal.Signals], None],
    number: signal.Signals,
    state: str,
) -> None:
    whole = run(study, tmp_path / "whole", *PLAIN)
    stop_at(1, number)
    part = run(study, tmp_path / "part", *PLAIN)
    assert (part.state, part.personal) == (state, None)
    with pytest.raises(StateError, match="not finished for the node's newest state; run the node again"):
        made(tmp_path / "part")
    done = run(study, tmp_path / "part", *PLAIN)
    assert (whole.state, done.state) == ("done", "done")
    assert done.personal == whole.personal
    one, other = made(tmp_path / "whole"), made(tmp_path / "part")
    assert np.array_equal(one.tuned.state.vector, other.tuned.state.vector)
    assert (one.tuned.phases, one.weight, one.figures) == (3, other.weight, other.figures)


@pytest.mark.slow
def test_further_phases_go_on_with_it_and_other_terms_or_another_state_begin_anew(study: Study, tmp_path: Path) -> None:
    state = tmp_path / "ada"
    run(study, state, *PLAIN, "personal.phases=1")
    first = made(state)
    run(study, state, *PLAIN)
    further = made(state)
    run(study, tmp_path / "whole", *PLAIN)
    assert np.array_equal(further.tuned.state.vector, made(tmp_path / "whole").tuned.state.vector)
    assert first.tuned.mixed == further.tuned.mixed
    run(study, state, *PLAIN, "personal.learning_rate=0.001", "personal.phases=1")
    slower = made(state)
    assert slower.tuned.phases == 1
    assert slower.tuned.state.distance(slower.tuned.mixed) < first.tuned.state.distance(first.tuned.mixed)
    # the node has trained on: what was made of the state before is not the model of this one
    run(study, state, *PLAIN, "training.phases=5", "personal={}")
    with pytest.raises(StateError, match="run the node again"):
        made(state)


def test_its_figures_are_in_the_result_and_on_disk_and_nobody_else_is_told(study: Study, tmp_path: Path) -> None:
    record = run(study, tmp_path / "ada", *PLAIN)
    assert record.personal is not None
    rows = [json.loads(line) for line in (tmp_path / "ada" / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["personal"] == record.personal.as_json() == record.as_json()["personal"]
    assert all("personal" not in row for row in rows[:-1])
    assert record.held_out is not None
    assert rows[-1]["personal"]["global"]["own_loss"] == record.held_out.loss
    told = record.status()
    record.personal = None
    assert record.status() == told
    assert (tmp_path / "ada" / "personal").stat().st_mode & 0o777 == 0o700


@pytest.mark.slow
def test_evaluate_says_it_again_beside_a_run_alone_and_judges_it_on_any_file(
    study: Study, tmp_path: Path, command: Command
) -> None:
    record = run(study, tmp_path / "ada", *PLAIN)
    assert record.personal is not None
    run(study, tmp_path / "lone", *PLAIN, "training.phases=7", "personal={}")
    asked = ("evaluate", "--peers", study.peers, "--name", "ada", "--state-dir", tmp_path / "ada", "--personal")
    sets = ("--set", "privacy={level: none}")
    _, found, _ = command(*asked, *sets)
    assert found == json.loads(json.dumps(record.personal.as_json()))
    _, beside, _ = command(*asked, *sets, "--alone", tmp_path / "lone")
    assert beside["against_alone"] == beside["personal"]["own_accuracy"] - beside["alone"]["own_accuracy"]
    row = json.dumps({"features": [0.0] * 64, "label": "3"})
    (tmp_path / "file.jsonl").write_text(f"{row}\n{row}\n")
    _, on_file, _ = command(*asked, *sets, "--data", tmp_path / "file.jsonl")
    assert set(on_file) == {"weight", "global", "tuned", "personal"}
    assert {*on_file["tuned"]} == {"test_loss", "test_accuracy", "test_macro_f1"}
    code, _, said = command(*asked[:-1], "--alone", tmp_path / "lone")
    assert (code, "--personal was expected" in said) == (2, True)


def exported(command: Command, state: Path, output: Path, *flags: str) -> tuple[int, str]:
    # peers.yaml is not beside a state directory of a test's own
    code, _, said = command("export", "--state-dir", state, "--output", output, *flags)
    return code, said


def vector(folder: Path, like: OwnModel) -> np.ndarray[Any, np.dtype[np.float32]]:
    tensors = load_file(folder / "model.safetensors")
    return np.concatenate([tensors[segment.name].ravel() for segment in like.tuned.state.spec.segments])


@pytest.mark.slow
def test_without_privacy_it_is_exported_as_it_is(study: Study, tmp_path: Path, command: Command) -> None:
    run(study, tmp_path / "ada", *PLAIN)
    own = made(tmp_path / "ada")
    for flag, state in (("--personal", own.state), ("--tuned", own.tuned.state)):
        assert exported(command, tmp_path / "ada", tmp_path / flag, flag)[0] == 0
        assert np.array_equal(vector(tmp_path / flag, own), state.vector)


def test_what_was_to_stay_is_never_exported(study: Study, tmp_path: Path, command: Command) -> None:
    run(study, tmp_path / "ada", *PLAIN, "personal.stays=true")
    for flag in ("--personal", "--tuned"):
        code, said = exported(command, tmp_path / "ada", tmp_path / "out", flag)
        assert (code, "personal.stays: the personal model was made to stay on this machine" in said) == (2, True)
    # and by no change of the configuration either: what it was made on is written down
    run(study, tmp_path / "ada", *PLAIN, "personal={}")
    code, said = exported(command, tmp_path / "ada", tmp_path / "out", "--tuned")
    assert (code, "personal.stays" in said) == (2, True)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_under_privacy_only_what_the_ledger_covers_is_exported(tmp_path: Path, command: Command) -> None:
    study = digits_study(tmp_path / "study")
    state = study.state("ada")
    record = run(study, state)
    own = made(state)
    assert record.receipt.steps == (4 + 3) * 4
    assert record.receipt.epsilon == pytest.approx(own.tuned.receipt.epsilon)
    assert 0 < record.receipt.epsilon <= 8.0
    code, said = exported(command, state, tmp_path / "out", "--personal")
    assert (code, "the weight was chosen by held-out records, which no ε covers" in said) == (2, True)
    assert exported(command, state, tmp_path / "tuned", "--tuned")[0] == 0
    assert np.array_equal(vector(tmp_path / "tuned", own), own.tuned.state.vector)
    # another ledger in its place has not charged it
    ledger = study.folder / "ada.sqlite"
    for file in study.folder.glob("ada.sqlite*"):
        file.unlink()
    run(study, tmp_path / "elsewhere", "personal={}")
    assert ledger.exists()
    code, said = exported(command, state, tmp_path / "out", "--tuned")
    assert (code, "may not be exported" in said) == (2, True)
    with pytest.raises(StateError, match="not covered"):
        run(study, state)


@pytest.mark.slow
def test_under_privacy_a_model_that_stays_costs_nothing_and_is_covered_by_nothing(
    tmp_path: Path, command: Command
) -> None:
    study = digits_study(tmp_path / "study")
    state = study.state("ada")
    record = run(study, state, "personal.stays=true")
    assert record.receipt.steps == 4 * 4
    assert np.isinf(made(state).tuned.receipt.epsilon)
    # charged from now on: what was made without a charge is not gone on with
    again = run(study, state, "personal.phases=1", "personal.interpolate=false", "privacy.target_epsilon=20")
    assert again.receipt.steps == 5 * 4
    assert np.isfinite(made(state).tuned.receipt.epsilon)
    assert exported(command, state, tmp_path / "out", "--personal")[0] == 0


@pytest.mark.slow
def test_where_the_budget_is_spent_it_is_the_mixed_model_until_there_is_more(tmp_path: Path) -> None:
    study = digits_study(tmp_path / "study")
    run(study, study.state("ada"), "personal={}")
    spent = run(study, study.state("ada"))
    own = made(study.state("ada"))
    assert (spent.receipt.steps, own.tuned.steps, own.state == own.tuned.mixed) == (16, 0, True)
    more = run(study, study.state("ada"), "privacy.target_epsilon=30")
    assert (more.receipt.steps, made(study.state("ada")).tuned.phases) == (28, 3)


@pytest.mark.slow
def test_nothing_of_it_is_ever_published(tmp_path: Path) -> None:
    study = digits_study(tmp_path / "study")
    # no target: there is a budget for further phases
    endless = {**EXAMPLE, "target_epsilon": None, "noise_multiplier": 1.0}
    study.edit("experiment.yaml", lambda content: content.update(privacy=endless))
    with Fleet([study.job(name) for name in NAMES], launch=forked) as fleet:
        results = fleet.results(timeout_s=180)
    logs = {name: (study.state(name) / "publications.jsonl").read_text() for name in NAMES}
    for name in NAMES:
        own = made(study.state(name))
        assert results[name]["personal"]["weight"] == own.weight
        for state in (own.tuned.state, own.state):
            if state != own.tuned.mixed:
                assert state.sharing().digest() not in logs[name]
    # more of it: no byte is sent, no line is added, no link is opened
    more = study.job("ada", "--set", "personal.phases=5")
    with Fleet([more], launch=forked) as fleet:
        again = fleet.results(timeout_s=180)["ada"]
    assert made(study.state("ada")).tuned.phases == 5
    assert (again["bytes_sent"], again["bytes_received"]) == (0, 0)
    assert (study.state("ada") / "publications.jsonl").read_text() == logs["ada"]
