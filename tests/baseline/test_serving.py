"""A server in earnest: what it refuses before anything is begun, and what it does with its clients' words."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Context, Error, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from tests.baseline.own_data import write_experiment

from gossipfl.baseline.inprocess import MemoryGrid
from gossipfl.baseline.records import ADAPTER, ARRAYS, METRICS
from gossipfl.baseline.serving import serve
from gossipfl.errors import ConfigError, PrivacyError, TrainingError, UserError

CENTRAL = {"noise_multiplier": 1.0, "max_grad_norm": 1.0, "target_delta": 1e-3}


@dataclass
class Clients:
    """Two that charge 1 and 2 a round; the second may fail.

    Attributes:
        silent: rounds in which the second does not say how it stands.
        lazy: rounds in which it does not train.
        numbers: by which they are known.
        renumbered: round from which on the second says it is the third.
        answers: so many of them can work.
        forgetful: rounds after whose training it is started anew, with an account in memory.
        trainings: of each.
    """

    silent: frozenset[int] = frozenset()
    lazy: frozenset[int] = frozenset()
    forgetful: frozenset[int] = frozenset()
    numbers: tuple[int, int] = (0, 1)
    answers: int = 2
    renumbered: int | None = None
    trainings: Counter[int] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)

    def app(self) -> ClientApp:
        app = ClientApp()
        app.query()(self.query)
        app.train()(self.train)
        app.evaluate()(self.evaluate)
        return app

    def query(self, message: Message, context: Context) -> Message:
        number = int(context.node_config["partition-id"])
        if number >= self.answers:
            return Message(Error(0, "DataError; this client's log says more"), reply_to=message)
        figures = MetricRecord({"partition": self.numbers[number]})
        return Message(RecordDict({METRICS: figures}), reply_to=message)

    def train(self, message: Message, context: Context) -> Message:
        number = int(context.node_config["partition-id"])
        if number and self._round("train", number) in self.lazy:
            return Message(Error(0, "no"), reply_to=message)
        self.trainings[number] += 1
        vector = message.content.array_records[ARRAYS][ADAPTER].numpy() + np.float32(number)
        content = RecordDict({ARRAYS: ArrayRecord({ADAPTER: Array(vector)}), METRICS: self._figures(number)})
        return Message(content, reply_to=message)

    def evaluate(self, message: Message, context: Context) -> Message:
        number = int(context.node_config["partition-id"])
        index = self._round("evaluate", number)
        if number and index in self.silent:
            return Message(Error(0, "no"), reply_to=message)
        if number and index in self.forgetful:
            self.trainings[number] = 0
        return Message(RecordDict({METRICS: self._figures(number)}), reply_to=message)

    def _round(self, kind: str, number: int) -> int:
        self.asked[f"{kind} {number}"] += 1
        return self.asked[f"{kind} {number}"]

    def _said(self, number: int) -> int:
        later = self.renumbered is not None and self.trainings[number] >= self.renumbered
        return number + 1 if number and later else number

    def _figures(self, number: int) -> MetricRecord:
        trained = self.trainings[number]
        epsilon = float(trained * (number + 1))
        return MetricRecord(
            {"partition": self._said(number), "steps": 3 * trained, "done": 3, "epsilon": epsilon, "weight": 1.0}
        )


def served(folder: Path, app: ClientApp, changes: Mapping[str, object]) -> Path:
    """A run in earnest with these clients: its folder."""
    path = write_experiment(folder, **{"simulation__nodes": 2, "flower__timeout_s": 5.0, **changes})
    output = folder / "run"
    settings: dict[str, str | int | float | bool] = {
        "trial": False,
        "experiment": str(path),
        "folder": "",
        "output": str(output),
        "told": "",
        "order": "",
    }
    context = Context(run_id=7, node_id=1, node_config={}, state=RecordDict(), run_config=settings)
    serve(MemoryGrid(app, 2), context)
    return output


@pytest.mark.parametrize(
    ("changes", "kind", "problem"),
    [
        (
            {"privacy": {"level": "none"}, "flower__central_noise": CENTRAL},
            ConfigError,
            r"flower\.central_noise is for trials: its noise is seeded, .*privacy\.level example or update is wanted",
        ),
        ({"flower__strategy": "QFedAvg", "privacy": {"level": "none"}}, ConfigError, "QFedAvg wants losses"),
        ({"flower__weighting": "examples"}, PrivacyError, "how many records"),
    ],
)
def test_what_would_not_protect_is_refused_before_anything_is_begun(
    tmp_path: Path, changes: dict[str, object], kind: type[UserError], problem: str
) -> None:
    with pytest.raises(kind, match=problem) as caught:
        served(tmp_path, ClientApp(), changes)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


ROUNDS = {"training__phases": 3, "simulation__evaluate_every": 1}


def lines(run: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / name).read_text().splitlines()]


def test_what_a_client_told_when_it_trained_counts_when_it_tells_nothing_after(tmp_path: Path) -> None:
    run = served(tmp_path, Clients(silent=frozenset({2, 3})).app(), ROUNDS)
    nodes = lines(run, "nodes.jsonl")
    assert [line["epsilon"] for line in nodes] == [[None, None], [1, 2], [2, 4], [3, 6]]
    assert [line["up"] for line in nodes] == [[True, True], [True, True], [True, False], [True, False]]
    assert [line["finished"] for line in nodes[2:]] == [[False, False], [True, False]]
    assert lines(run, "metrics.jsonl")[-1]["epsilon"] == 6


def test_a_client_that_never_tells_how_it_stands_is_not_left_out(tmp_path: Path) -> None:
    run = served(tmp_path, Clients(silent=frozenset({1, 2, 3})).app(), ROUNDS)
    assert lines(run, "nodes.jsonl")[-1]["epsilon"] == [3, 6]


def test_a_client_that_has_not_trained_in_a_round_is_up_as_long_as_it_answers(tmp_path: Path) -> None:
    last = lines(served(tmp_path, Clients(lazy=frozenset({2, 3})).app(), ROUNDS), "nodes.jsonl")[-1]
    assert (last["up"], last["epsilon"], last["step"]) == ([True, True], [3, 2], [9, 3])


def test_what_a_client_forgets_is_not_unspent(tmp_path: Path) -> None:
    nodes = lines(served(tmp_path, Clients(forgetful=frozenset({2})).app(), ROUNDS), "nodes.jsonl")
    assert [line["epsilon"][1] for line in nodes[1:]] == [2, 4, 4]


@pytest.mark.parametrize(
    ("clients", "problem"),
    [
        (Clients(numbers=(1, 2)), "a client's partition-id is 2, 0 to 1 was expected"),
        (Clients(numbers=(0, 0)), "two clients have the partition-id 0, each must have its own"),
        (Clients(answers=1), r"client 101 cannot work: DataError; this client's log says more"),
    ],
)
def test_whoever_cannot_take_part_is_found_before_anybody_trains(
    tmp_path: Path, clients: Clients, problem: str
) -> None:
    with pytest.raises(TrainingError, match=problem) as caught:
        served(tmp_path, clients.app(), ROUNDS)
    assert "\n" not in str(caught.value)
    assert not clients.trainings
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_a_client_that_changes_its_number_later_ends_the_run_in_one_line(tmp_path: Path) -> None:
    clients = Clients(renumbered=2)
    with pytest.raises(TrainingError, match="a client's partition-id is 2, 0 to 1 was expected"):
        served(tmp_path, clients.app(), ROUNDS)
    assert clients.trainings[0] == 2
