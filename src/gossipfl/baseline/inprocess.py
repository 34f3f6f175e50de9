"""Flower's strategy and our ClientApp in this process: the grid between them is a loop."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import count

from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid
from flwr.supercore.run import Run

from gossipfl.baseline.client import PARTITION, client_app
from gossipfl.baseline.internals import claim_identity
from gossipfl.baseline.recorder import Outcome, ServerRecorder
from gossipfl.baseline.records import FAILED
from gossipfl.baseline.same_experiment import terms_of
from gossipfl.baseline.server import Server
from gossipfl.baseline.trial import Staff, Trial
from gossipfl.errors import GossipflError
from gossipfl.runs.adapter_file import read_adapter
from gossipfl.runs.fleet import Fleet

SERVER_ID = 1
FIRST_CLIENT_ID = 100


class MemoryGrid(Grid):
    """Carries messages to clients of this process, one after the other, and their answers back.

    Args:
        app: what each client runs.
        clients: how many there are.
    """

    def __init__(self, app: ClientApp, clients: int) -> None:
        self._app = app
        self._contexts = {
            FIRST_CLIENT_ID + number: Context(
                run_id=1,
                node_id=FIRST_CLIENT_ID + number,
                node_config={PARTITION: number, "num-partitions": clients},
                state=RecordDict(),
                run_config={},
            )
            for number in range(clients)
        }
        self._replies: dict[str, Message] = {}
        self._numbers = count(1)
        claim_identity(SERVER_ID)

    def set_run(self, run: Run) -> None:
        """There is one run, and it has no need of a description."""
        raise NotImplementedError(f"a grid in memory has no run to be set to {run}")

    @property
    def run(self) -> Run:
        """See `set_run`."""
        raise NotImplementedError("a grid in memory has no run")

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        """A message to a client."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> Iterable[int]:
        """All clients, in their order."""
        return list(self._contexts)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Has them answered at once."""
        numbers = []
        for message in messages:
            numbers.append(str(next(self._numbers)))
            self._replies[numbers[-1]] = self._answer(message)
        return numbers

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """The answers, each once."""
        return [self._replies.pop(number) for number in message_ids if number in self._replies]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        """The answers; no client can be late."""
        del timeout
        return [self._answer(message) for message in messages]

    def _answer(self, message: Message) -> Message:
        try:
            return self._app(message, self._contexts[message.metadata.dst_node_id])
        except GossipflError as error:
            # as Flower's own runtimes answer for a client that raises
            return Message(Error(FAILED, str(error)), reply_to=message)


def run_inprocess(trial: Trial) -> Outcome:
    """All rounds of a trial."""
    staff = Staff(trial.experiment, trial.roster, trial.roster.names)
    app = client_app(lambda: staff, trial.duties)
    recorder = ServerRecorder(trial.experiment, trial.directory, staff.fleet.judge_mean, trial.show)
    terms = terms_of(staff.fleet.resident.adapted)
    named = {FIRST_CLIENT_ID + number: name for number, name in enumerate(trial.roster.names)}
    server = Server(trial.experiment, staff.fleet.initial, recorder, terms, named=named)
    outcome = server.serve(MemoryGrid(app, len(named)))
    return _with_own_models(outcome, trial, staff.fleet) if trial.experiment.personal.phases else outcome


def _with_own_models(outcome: Outcome, trial: Trial, fleet: Fleet) -> Outcome:
    """Behind the last round each client makes its own of what the server has; its account pays for that as well."""
    last = read_adapter(trial.directory.path, fleet.initial.spec)
    found = fleet.personalize([(name, last) for name in trial.roster.names])
    spent = {"epsilon": fleet.epsilon()} if fleet.simulated else {}
    return replace(outcome, last=outcome.last | spent, personal=dict(zip(trial.roster.names, found, strict=True)))
