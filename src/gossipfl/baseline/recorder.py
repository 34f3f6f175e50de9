"""What a server sees of its clients, as the lines that every run leaves: see `runs.lines`.

Virtual seconds of a round: the slowest client's download + local steps + upload, by the models of the simulator
(`simulation.compute`, `simulation.links`); the server's own link is endless. Bytes of a client: both ways, tensors
only; evaluation, which gossip does without, is not counted.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from gossipfl.baseline.central import central_plan
from gossipfl.baseline.records import WEIGHT, state_of
from gossipfl.baseline.roll_call import check_numbers
from gossipfl.baseline.watched import Reply, Round
from gossipfl.config.experiment import Experiment
from gossipfl.core.factors import pairs_of
from gossipfl.core.rng import generator
from gossipfl.errors import MessageError
from gossipfl.learning.adapters.summary import summarize
from gossipfl.learning.evaluation import Evaluation
from gossipfl.learning.personal import Personalized
from gossipfl.learning.tasks import measured
from gossipfl.privacy.accounting import epsilon
from gossipfl.runs.adapter_file import write_adapter
from gossipfl.runs.compute import build_duration
from gossipfl.runs.judging import Judgment
from gossipfl.runs.lines import Standing, error_line, judged_line, node_columns, summary_line
from gossipfl.runs.progress import Progress
from gossipfl.runs.run_directory import RunDirectory
from gossipfl.runs.spread import spread_of_one
from gossipfl.state import AdapterSpec, AdapterState


class Test(Protocol):
    """Looks how good a state is on the common test set."""

    def __call__(self, state: AdapterState, *, last: bool) -> Evaluation | None:
        """None without one; `last` of the run: see `Learner.evaluate`."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a whole run came to.

    Attributes:
        last: the last line of `metrics.jsonl`.
        virtual_s, seconds: virtual and real.
        steps: optimizer steps of all clients.
        rejected: answers of clients that could not train, and answers that were missing, by reason.
        flower_bytes: what Flower itself has counted at its server, by direction; None where it counts nothing.
        personal: the clients' own models, by node; None where they have none.
    """

    last: dict[str, Any]
    virtual_s: float
    seconds: float
    steps: int
    rejected: Mapping[str, int] = field(default_factory=dict)
    flower_bytes: Mapping[str, int] | None = None
    personal: Mapping[str, Personalized] | None = None


@dataclass(slots=True)
class _Client:
    """Where one is.

    Attributes:
        bound: the highest ε it told when it had trained, and no evaluation covers yet: a bound, quick to have.
        exact: the highest ε it told at an evaluation.
        up: it has answered the last evaluation.
    """

    steps: int = 0
    traffic: int = 0
    bound: float = -math.inf
    exact: float = -math.inf
    up: bool = True

    @property
    def epsilon(self) -> float:
        """What it has spent, by all that it told; infinite if nothing."""
        told = max(self.bound, self.exact)
        return told if told > -math.inf else math.inf

    def trained(self, reply: Reply) -> None:
        """What it told after training."""
        steps = int(reply.figure("steps"))
        self._went_on_from(steps - reply.figure("done"))
        self.steps, self.bound = steps, max(self.bound, reply.figure("epsilon"))

    def evaluated(self, reply: Reply) -> None:
        """What it told at an evaluation, which covers all that it has trained."""
        self._went_on_from(reply.figure("steps"))
        self.exact, self.bound = max(self.exact, reply.figure("epsilon")), -math.inf

    def _went_on_from(self, steps: float) -> None:
        """Fewer steps than it had: it was started anew, and an account in memory has forgotten what was spent."""
        if steps < self.steps:
            self.exact = self.epsilon


class ServerRecorder:
    """Writes a line after each evaluation."""

    def __init__(
        self, experiment: Experiment, directory: RunDirectory, test: Test, show: Callable[[Progress], None]
    ) -> None:
        simulation = experiment.simulation
        self._experiment, self._directory, self._test, self._show = experiment, directory, test, show
        compute = generator(experiment.seed, purpose="simulation compute")
        self._duration = build_duration(simulation.compute, compute)
        self._clients = {name: _Client() for name in simulation.names}
        self._started = time.monotonic()
        self._central = central_plan(experiment)
        self._last: dict[str, Any] = {}
        self._virtual_s = 0.0
        self._rejected: Counter[str] = Counter()
        self._error: dict[str, float | None] = {}

    def begin(self, spec: AdapterSpec) -> None:
        """Writes what is trained."""
        self._directory.write_adapter(summarize(self._experiment.adapter, spec))

    def outcome(self) -> Outcome:
        """Of the rounds so far."""
        steps = sum(client.steps for client in self._clients.values())
        return Outcome(self._last, self._virtual_s, time.monotonic() - self._started, steps, dict(self._rejected))

    def due(self, index: int) -> bool:
        """Whether a round ends with an evaluation: every so many, and after the last."""
        every, rounds = self._experiment.simulation.evaluate_every, self._experiment.training.phases
        return index % every == 0 or index == rounds

    def after(self, done: Round, state: AdapterState) -> None:
        """A round is over.

        Raises:
            TrainingError: a client has another's number, or no node's.
        """
        names, rounds = list(self._clients), self._experiment.training.phases
        for replies in (done.trained, done.evaluated):
            check_numbers((reply.number for reply in replies), len(names))
        self._spend(done, names)
        self._compare(done, state)
        self._rejected.update(done.failed)
        self._listen(done, names)
        if done.index == 0 or self.due(done.index):
            self._record(done, state)
        if done.index == rounds:
            write_adapter(self._directory.path, state)
        now = self.outcome()
        left_s = now.seconds * (rounds / done.index - 1) if done.index else None
        self._show(Progress(done.index, now.steps, now.virtual_s, now.seconds, left_s))

    def _spend(self, done: Round, names: list[str]) -> None:
        """Time, traffic and steps of a round."""
        slowest = 0.0
        for reply in done.trained:
            name, received = names[reply.number], done.received[reply.number]
            client = self._clients[name]
            client.trained(reply)
            client.traffic += done.sent + received
            computed = self._duration(name, int(reply.figure("done")))
            slowest = max(slowest, self._transfer_s(done.sent) + computed + self._transfer_s(received))
        if done.trained:
            self._virtual_s += slowest + self._experiment.flower.server_latency_s

    def _compare(self, done: Round, state: AdapterState) -> None:
        """How far the mean of what clients have sent, as Flower weighs it, is from the mean of their weights."""
        sent = done.take()
        if not pairs_of(state.spec) or (done.index and not self.due(done.index)):
            return
        weights = [reply.figure(WEIGHT) for reply in done.trained]
        try:
            states = [state_of(arrays, state.spec, sender="a client") for arrays in sent]
        except MessageError:
            # some strategies do without a client whose values are not finite
            self._error = {"averaging_error": None}
        else:
            self._error = error_line(states, weights) if states else error_line([state])

    def _listen(self, done: Round, names: list[str]) -> None:
        """What clients told when they were asked for figures; who does not answer is taken for gone."""
        answers = {names[reply.number]: reply for reply in done.evaluated}
        for name, reply in answers.items():
            self._clients[name].evaluated(reply)
        if done.index and self.due(done.index):
            for name, client in self._clients.items():
                client.up = name in answers

    def _transfer_s(self, size: int) -> float:
        links = self._experiment.simulation.links
        return links.latency_s + (size / links.bytes_per_s if links.bytes_per_s else 0.0)

    def _record(self, done: Round, state: AdapterState) -> None:
        names, clients = list(self._clients), list(self._clients.values())
        test = self._test(state, last=done.index == self._experiment.training.phases)
        measures = measured(self._experiment.task)
        own = {names[reply.number]: _own(reply, measures) for reply in done.evaluated}
        judgments = {name: Judgment(own.get(name), test) for name in names}
        standing = Standing(
            nodes=names,
            virtual_s=self._virtual_s,
            rounds=[done.index] * len(names),
            steps=[client.steps for client in clients],
            sent=[client.traffic for client in clients],
            epsilons=[client.epsilon for client in clients],
            up=[client.up for client in clients],
            finished=[client.up and done.index == self._experiment.training.phases for client in clients],
        )
        # all have what the server has
        spread = spread_of_one(state, len(names))
        columns = node_columns(standing, spread, judgments)
        judged = judged_line(columns, test) | self._error
        self._last = summary_line(columns, spread) | judged | self._of_server(done)
        self._directory.append(self._last, columns)

    def _of_server(self, done: Round) -> dict[str, object]:
        """How many clients have trained in the round, and the ε of all rounds against those who trust the server."""
        figures: dict[str, object] = {"clients": len(done.trained)}
        plan = self._central
        if plan is not None:
            charges = [plan.charge(done.index)] if done.index else []
            figures["central_epsilon"] = epsilon(charges, plan.delta) if charges else 0.0
        return figures


def _own(reply: Reply, measures: Sequence[str]) -> Evaluation | None:
    """What a client has told of its held-out part; only what the task measures is taken from it."""
    if np.isnan(reply.figure("loss")):
        return None
    accuracy, perplexity = map(_known, map(reply.figure, ("accuracy", "perplexity")))
    told = {name: reply.figure(name) for name in measures}
    known = {name: value for name, value in told.items() if not np.isnan(value)}
    return Evaluation(reply.figure("loss"), accuracy, perplexity, int(reply.figure("examples")), known)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value
