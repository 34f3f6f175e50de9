"""A deployed client, message by message, as processes of Flower's run it: on trial, and in earnest on its own data."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from flwr.app import ConfigRecord, Context, Message, RecordDict
from numpy.typing import NDArray
from tests.baseline.flower_runs import small
from tests.baseline.own_data import write_experiment, write_records
from tests.sim.training import NOISE, load

from gossipfl.baseline.at_work import evaluate, query, train
from gossipfl.baseline.internals import claim_identity
from gossipfl.baseline.records import ADAPTER, ARRAYS, CONFIG, arrays_of, metrics_of, number
from gossipfl.baseline.same_experiment import terms_of
from gossipfl.config.loading import load_experiment
from gossipfl.learning.adapters import Adapted
from gossipfl.learning.bench import load_adapted
from gossipfl.learning.data import DataSite
from gossipfl.runs.run_directory import locked
from gossipfl.state import AdapterState

Node = dict[str, str | int | float | bool]


@pytest.fixture(autouse=True)
def _identity() -> None:
    claim_identity(1)


@dataclass
class Client:
    """One SuperNode: its settings, and the context that it keeps."""

    node: Node
    context: Context = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """With its memory its context is gone."""
        self.context = Context(run_id=7, node_id=2, node_config=self.node, state=RecordDict(), run_config={})

    @property
    def initial(self) -> AdapterState:
        return adapted_of(Path(str(self.node["experiment"]))).initial

    def asked(self, kind: str, server: Path | None = None) -> Message:
        """Its answer to a server whose experiment is the same, or lies in that file."""
        adapted = adapted_of(server or Path(str(self.node["experiment"])))
        config = terms_of(adapted)
        # as Flower's strategies say it
        config["server-round"] = 1
        content = RecordDict({ARRAYS: arrays_of(adapted.initial), CONFIG: config})
        return {"train": train, "evaluate": evaluate, "query": query}[kind](Message(content, 2, kind), self.context)


def adapted_of(path: Path) -> Adapted:
    site = DataSite("server", ("server",), None, path.parent, path.parent)
    return load_adapted(load_experiment(path).experiment, site)


def figure(message: Message, name: str) -> float:
    return number(metrics_of(message), name)


def vector(message: Message) -> NDArray[np.float32]:
    return message.content.array_records[ARRAYS][ADAPTER].numpy()


def in_earnest(folder: Path, **changes: object) -> Client:
    path = write_experiment(folder, **changes)
    write_records(folder / "own.jsonl", 0)
    return Client({"partition-id": 0, "experiment": str(path), "name": "a", "data": "own.jsonl"})


def on_trial(folder: Path) -> Client:
    load(folder, small(privacy=NOISE))
    return Client({"partition-id": 0, "experiment": str(folder / "experiment.yaml"), "trial": True})


def test_on_trial_noise_is_seeded_and_the_context_keeps_the_account(tmp_path: Path) -> None:
    one, other = on_trial(tmp_path), on_trial(tmp_path)
    first = one.asked("train")
    assert (vector(first) == vector(other.asked("train"))).all()
    assert figure(one.asked("train"), "epsilon") > figure(first, "epsilon")
    assert np.isfinite(figure(one.asked("evaluate"), "loss"))


def test_in_earnest_nobody_can_repeat_the_noise(tmp_path: Path) -> None:
    one, other = in_earnest(tmp_path / "one"), in_earnest(tmp_path / "other")
    assert not (vector(one.asked("train")) == vector(other.asked("train"))).any()


def test_in_earnest_the_ledger_remembers_what_the_context_forgets(tmp_path: Path) -> None:
    client = in_earnest(tmp_path)
    spent = [figure(client.asked("train"), "epsilon") for _ in range(2)]
    client.restart()
    assert figure(client.asked("evaluate"), "epsilon") == spent[1] > spent[0] > 0
    assert figure(client.asked("train"), "epsilon") > spent[1]
    assert (tmp_path / "own.jsonl.ledger.sqlite").exists()


def test_in_earnest_rounds_of_one_run_are_one_plan(tmp_path: Path) -> None:
    """The wished ε is for the whole run: it is reached by its rounds, and then nothing is trained any more."""
    client = in_earnest(tmp_path, privacy__noise_multiplier=None, privacy__target_epsilon=2.0)
    spent = [figure(client.asked("train"), "epsilon") for _ in range(2)]
    assert spent[0] < spent[1] <= 2.0 * (1 + 1e-6)
    assert spent[1] > 1.8
    after = client.asked("train")
    assert figure(after, "done") == 0
    assert (vector(after) == client.initial.vector).all()


def test_in_earnest_no_figure_on_private_data_is_told(tmp_path: Path) -> None:
    answer = in_earnest(tmp_path).asked("evaluate")
    assert set(metrics_of(answer)) == {"partition", "steps", "epsilon", "weight"}
    assert figure(answer, "weight") == 1.0


def test_in_earnest_the_number_of_records_is_not_told(tmp_path: Path) -> None:
    answer = in_earnest(tmp_path, flower__weighting="examples").asked("train")
    assert answer.error.reason == "PrivacyError; this client's log says more"


@pytest.mark.parametrize("privacy", [{}, {"privacy": {"level": "none"}}])
def test_in_earnest_no_loss_on_own_data_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, privacy: dict[str, object]
) -> None:
    qfedavg = {"flower__strategy": "QFedAvg", "flower__options": {"client_learning_rate": 0.1}}
    answer = in_earnest(tmp_path, **qfedavg, **privacy).asked("train")
    assert answer.error.reason == "ConfigError; this client's log says more"
    assert "flower.strategy: QFedAvg" in caplog.text
    assert not (tmp_path / "own.jsonl.ledger.sqlite").exists()


def test_in_earnest_the_server_does_not_learn_what_is_wrong_with_the_data(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client = in_earnest(tmp_path)
    with (tmp_path / "own.jsonl").open("a") as file:
        file.write('{"features": [1, 2, 3, 4], "label": "secret diagnosis"}\n')
    reason = client.asked("train").error.reason
    assert reason == "DataError; this client's log says more"
    assert "secret diagnosis" in caplog.text


def test_in_earnest_two_messages_at_once_do_not_work_in_one_folder_of_tokens(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client = in_earnest(tmp_path)
    client.node["tokens"] = "tokens"
    client.restart()
    assert not client.asked("train").has_error()
    with locked(tmp_path / "tokens" / "lock"):
        assert client.asked("train").error.reason == "StateError; this client's log says more"
    assert f"another process runs in {tmp_path / 'tokens'}" in caplog.text
    assert not client.asked("train").has_error()


def test_in_earnest_what_is_missing_is_named_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    client = in_earnest(tmp_path)
    del client.node["data"]
    client.restart()
    assert client.asked("train").error.reason == "ConfigError; this client's log says more"
    assert "--node-config: data is missing, a text was expected" in caplog.text


@pytest.mark.parametrize("kind", ["query", "train", "evaluate"])
@pytest.mark.parametrize(
    ("changes", "differs"),
    [
        ({"seed": 1}, "'head' is "),
        ({"task": {"kind": "vector-classification", "labels": ["green", "red"]}}, "'labels' is "),
        (
            {"flower__weighting": "examples", "privacy": {"level": "none"}},
            "'weighting' is 'examples' there, 'equal' here",
        ),
    ],
)
def test_a_client_of_another_experiment_of_equal_size_says_what_differs_and_does_nothing(
    tmp_path: Path, kind: str, changes: dict[str, object], differs: str
) -> None:
    client = in_earnest(tmp_path / "client")
    answer = client.asked(kind, write_experiment(tmp_path / "server", **changes))
    reason = answer.error.reason or ""
    assert reason.startswith("HandshakeError: 'the server' refused: another experiment: ")
    assert differs in reason
    assert "\n" not in reason
    assert not client.context.state


def test_a_server_that_does_not_say_which_experiment_it_is_of_is_refused(tmp_path: Path) -> None:
    client = in_earnest(tmp_path)
    message = Message(RecordDict({ARRAYS: arrays_of(client.initial), CONFIG: ConfigRecord()}), 2, "train")
    assert train(message, client.context).error.reason == (
        "HandshakeError: the server does not say which experiment it is of"
    )


def test_called_up_a_client_says_which_it_is_and_nothing_is_charged(tmp_path: Path) -> None:
    client = in_earnest(tmp_path)
    assert dict(metrics_of(client.asked("query"))) == {"partition": 0}
    assert figure(client.asked("evaluate"), "epsilon") == 0


@pytest.mark.parametrize(
    ("number", "said"), [(None, "is missing"), (4, "is 4"), (-1, "is -1"), ("0", "is '0'"), (True, "is True")]
)
def test_a_client_without_a_number_of_its_own_says_so_before_it_trains(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, number: int | str | None, said: str
) -> None:
    client = in_earnest(tmp_path, simulation__nodes=4)
    del client.node["partition-id"]
    if number is not None:
        client.node["partition-id"] = number
    client.restart()
    assert client.asked("train").error.reason == "ConfigError; this client's log says more"
    assert f"--node-config: partition-id {said}, a number from 0 to 3 was expected" in caplog.text
    assert not (tmp_path / "own.jsonl.ledger.sqlite").exists()
