"""A client that was asked and never answers is counted and named, to whoever has started the run."""

import io
import logging
from collections.abc import Iterable
from pathlib import Path

import pytest
from flwr.app import Message
from flwr.server.superlink.linkstate.utils import create_message_error_unavailable_res_message
from tests.baseline.flower_runs import centralized, small
from tests.sim.training import load

from gossipfl.baseline.client import client_app
from gossipfl.baseline.inprocess import FIRST_CLIENT_ID, MemoryGrid
from gossipfl.baseline.recorder import Outcome, ServerRecorder
from gossipfl.baseline.same_experiment import terms_of
from gossipfl.baseline.server import Server
from gossipfl.baseline.trial import Staff, Trial
from gossipfl.baseline.voice import Voice, follow
from gossipfl.config.loading import dump_experiment
from gossipfl.errors import DivergedError, TrainingError
from gossipfl.runs.roster import Roster
from gossipfl.runs.run_directory import RunDirectory


class Deaf(MemoryGrid):
    """A grid in memory on which one client has died, and its runtime does not say so."""

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        return super().send_and_receive(
            [message for message in messages if message.metadata.dst_node_id != FIRST_CLIENT_ID + 2], timeout=timeout
        )


class Vacant(MemoryGrid):
    """A grid in memory whose server says of one client that it is gone, as Flower's does: in its own name."""

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        for number, message in enumerate(messages):
            message.metadata.__dict__["_message_id"] = str(number)
            if message.metadata.dst_node_id == FIRST_CLIENT_ID + 2:
                yield create_message_error_unavailable_res_message(message.metadata, "node_unavail")
            else:
                yield from super().send_and_receive([message], timeout=timeout)


def run(folder: Path, grid: type[MemoryGrid] = Deaf, **changes: object) -> Outcome:
    """Three rounds in which n2 does not answer."""
    loaded = load(folder, small(**changes))
    names = loaded.experiment.simulation.names
    directory = RunDirectory(folder / "run", dump_experiment(loaded.experiment), resume=False)
    trial = Trial(loaded.experiment, Roster(names, folder), directory, lambda _: None)
    staff = Staff(trial.experiment, trial.roster, names)
    recorder = ServerRecorder(trial.experiment, directory, staff.fleet.judge_mean, trial.show)
    named = {FIRST_CLIENT_ID + number: name for number, name in enumerate(names)}
    terms = terms_of(staff.fleet.resident.adapted)
    server = Server(trial.experiment, staff.fleet.initial, recorder, terms, named=named)
    return server.serve(grid(client_app(lambda: staff, trial.duties), len(names)))


def test_who_does_not_answer_is_counted_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    outcome = run(tmp_path, flower={"timeout_s": 7.0}, simulation__evaluate_every=3)
    assert outcome.rejected == {"silent": 3}
    assert outcome.last["clients"] == 3
    said = [record.getMessage() for record in caplog.records if "did not answer" in record.getMessage()]
    # the last once more: it was asked for figures too
    assert said == [f"round {index}: client n2 did not answer within 7 s" for index in (1, 2, 3, 3)]


def test_who_is_gone_is_named_and_counted_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    outcome = run(tmp_path, Vacant, simulation__evaluate_every=3)
    assert outcome.rejected == {"failed": 3}
    said = [record.getMessage() for record in caplog.records if "client" in record.getMessage()]
    assert [line.partition(" failed: ")[0] for line in said] == [f"round {index}: client n2" for index in (1, 2, 3, 3)]


def test_who_fails_is_named_with_its_reason(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(DivergedError):
        centralized(tmp_path, small(training__learning_rate=1e30, training__optimizer="sgd"))
    said = [record.getMessage() for record in caplog.records]
    for name in ("n0", "n1", "n2", "n3"):
        assert any(f"round 1: client {name} failed: " in line and "1e+30 is too high" in line for line in said)


def test_under_central_noise_a_missing_client_ends_the_run(tmp_path: Path) -> None:
    """Flower adds noise for as many as it asked: for fewer its mean would have too little."""
    noise = {"noise_multiplier": 1.0, "max_grad_norm": 1.0}
    with pytest.raises(TrainingError, match=r"round 1: 3 of 4 clients have trained; .*central_noise") as caught:
        run(tmp_path, flower={"central_noise": noise})
    assert caught.type is TrainingError
    assert not (tmp_path / "run" / "adapter.safetensors").exists()


def test_what_the_server_warns_of_is_told_by_the_command(caplog: pytest.LogCaptureFixture) -> None:
    file = io.StringIO()

    def work() -> Outcome:
        logging.getLogger("gossipfl.baseline.somewhere").warning("client %s did not answer", "n2")
        return Outcome({}, 0.0, 0.0, 0)

    Voice(file).tell(work)
    caplog.clear()
    assert follow(file.getvalue().splitlines(), lambda _: None) == Outcome({}, 0.0, 0.0, 0)
    assert [record.getMessage() for record in caplog.records] == ["client n2 did not answer"]
