"""Flower's ClientApp around one node's learner.

    train      arrays ─> state ─> learner, from the client's own step ─> cleared for publication ─> arrays, figures
    evaluate   arrays ─> state ─> the node's own held-out part ─> figures

The learner, its data, batches, noise and account are those of a gossiping node; Flower's `Context` carries from round
to round what such a node keeps by itself.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from flwr.app import Context, Error, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from gossipfl.baseline.records import ARRAYS, CONFIG, DIVERGED, METRICS, WEIGHT, Json, Memory, arrays_of, state_of
from gossipfl.config.training import TrainingConfig
from gossipfl.core.work import scaled
from gossipfl.errors import DivergedError
from gossipfl.learning.bench import Bench
from gossipfl.learning.evaluation import Evaluation
from gossipfl.learning.timed import steps_in
from gossipfl.privacy.curve import Kind
from gossipfl.privacy.publishing import Publisher
from gossipfl.privacy.simulated_account import SimulatedAccount
from gossipfl.state import AdapterState

PARTITION = "partition-id"
"""Flower's key of a client's number in its `Context`."""
PROXIMAL_MU = "proximal-mu"
"""What Flower's FedProx sends to its clients."""
ROUND = "server-round"
"""The number of the round, from 1, which every strategy of Flower's sends."""
UNKNOWN = float("nan")
Work = Callable[[TrainingConfig], Callable[[int], float]]
"""A client's way of training to the factor on what a phase of so many steps has changed."""
Figures = dict[str, int | float | list[int] | list[float]]
"""What a `MetricRecord` is made of."""


class Workplace(Protocol):
    """Where clients work: a process of its own for each, or one for all."""

    def bench(self, number: int) -> Bench:
        """The client's, by its number among the nodes."""
        ...


@dataclass(frozen=True, slots=True)
class Duties:
    """What a client does in every round.

    Attributes:
        work: how much a phase counts that took more steps than others', see `core.work`.
        step_s: virtual seconds of a step by client, where trials have no other clock; None: the machine's own.
        by_examples: it weighs in with its units; otherwise all weigh the same.
        train_loss: it tells the loss of what it got on its own training data, which only QFedAvg wants.
        judges: it tells how good what it got is on its own held-out part: a figure without noise, for trials.
    """

    work: Work
    step_s: Callable[[int], float] | None
    by_examples: bool
    train_loss: bool
    judges: bool = True


def client_app(find: Callable[[], Workplace], duties: Duties) -> ClientApp:
    """The app; `find` is called where the client runs, which may be another process."""
    app = ClientApp()

    @app.train()
    def train(message: Message, context: Context) -> Message:
        return train_reply(find(), duties, message, context)

    @app.evaluate()
    def evaluate(message: Message, context: Context) -> Message:
        return evaluate_reply(find(), duties, message, context)

    return app


def roll_reply(workplace: Workplace, duties: Duties, message: Message, context: Context) -> Message:
    """What a client that was asked which node it is answers, when it can work."""
    del workplace, duties
    figures: Figures = {"partition": int(context.node_config[PARTITION])}
    return Message(RecordDict({METRICS: MetricRecord(figures)}), reply_to=message)


def train_reply(workplace: Workplace, duties: Duties, message: Message, context: Context) -> Message:
    """What a client that was asked to train answers, an error `DIVERGED` too; its memory is in the context."""
    place, memory = int(context.node_config[PARTITION]), Memory(context.state)
    bench = workplace.bench(place)
    _remember_account(bench, memory)
    try:
        return Message(_trained(bench, duties, message, memory, place), reply_to=message)
    except DivergedError as error:
        # its steps are charged, whatever came of them
        memory.keep(steps=memory.steps, moments=memory.moments, account=_account_state(bench))
        return Message(Error(DIVERGED, str(error)), reply_to=message)


def _trained(bench: Bench, duties: Duties, message: Message, memory: Memory, place: int) -> RecordDict:
    received = _received(message, bench)
    bench.learner.restore(memory.moments)
    loss = bench.learner.evaluate(received, bench.data.train).loss if duties.train_loss else UNKNOWN
    config = message.content.config_records[CONFIG]
    steps, seconds = _asked(bench, duties, place)
    training = bench.learner.train(
        received,
        first_step=memory.steps,
        steps=steps,
        # all clients of a round train the same factor
        phase=int(str(config[ROUND])) - 1,
        proximal_mu=float(str(config.get(PROXIMAL_MU, 0.0))),
        seconds=seconds,
    )
    counted = scaled(
        received, training.state, duties.work(bench.training), steps if training.exhausted else training.steps
    )
    steps = memory.steps + training.steps
    memory.keep(steps=steps, moments=bench.learner.durable(), account=_account_state(bench))
    own = Publisher(bench.account).clear(counted, training.receipt).state
    figures: Figures = {"partition": place, "steps": steps, "done": training.steps, "epsilon": training.receipt.epsilon}
    figures[WEIGHT] = _weight(bench, duties)
    if duties.train_loss:
        figures["train_loss"] = loss
    return RecordDict({ARRAYS: arrays_of(own), METRICS: MetricRecord(figures)})


def _asked(bench: Bench, duties: Duties, place: int) -> tuple[int, float | None]:
    """Steps wished, and the real seconds they may take."""
    training = bench.training
    if training.local_seconds is None or duties.step_s is None:
        return training.local_steps, training.local_seconds
    return steps_in(training.local_seconds, duties.step_s(place), most=training.local_steps), None


def evaluate_reply(workplace: Workplace, duties: Duties, message: Message, context: Context) -> Message:
    """What a client that was asked for figures answers."""
    place, memory = int(context.node_config[PARTITION]), Memory(context.state)
    bench = workplace.bench(place)
    received = _received(message, bench)
    _remember_account(bench, memory)
    figures: Figures = {"partition": place, "steps": memory.steps, "epsilon": _epsilon(bench)}
    figures[WEIGHT] = _weight(bench, duties)
    held_out = bench.data.held_out
    if duties.judges and held_out.rows:
        figures |= _figures(bench.learner.evaluate(received, held_out, last=_is_last(message, bench)))
    return Message(RecordDict({METRICS: MetricRecord(figures)}), reply_to=message)


def _figures(found: Evaluation) -> Figures:
    return {name: UNKNOWN if value is None else float(value) for name, value in found.figures().items()}


def _is_last(message: Message, bench: Bench) -> bool:
    """Of the run; a strategy that does not say which round it is has no last one."""
    rounds = bench.adapted.experiment.training.phases
    return str(message.content.config_records[CONFIG].get(ROUND)) == str(rounds)


def _received(message: Message, bench: Bench) -> AdapterState:
    return state_of(message.content.array_records[ARRAYS], bench.adapted.spec, sender="the server")


def _remember_account(bench: Bench, memory: Memory) -> None:
    """Puts an account in memory where this client left it, in this process or another; a ledger is there already."""
    if isinstance(bench.account, SimulatedAccount):
        bench.account.restore(_from_json(memory.account))


def _account_state(bench: Bench) -> Json:
    """Of an account in memory; a ledger keeps itself."""
    if not isinstance(bench.account, SimulatedAccount):
        return None
    tally, bound = bench.account.state()
    return {"tally": [[*kind, steps] for kind, steps in tally.items()], "bound": bound}


def _from_json(kept: Json) -> tuple[dict[Kind, int], float]:
    if kept is None:
        return {}, 0.0
    return {(rate, noise): int(steps) for rate, noise, steps in kept["tally"]}, kept["bound"]


def _epsilon(bench: Bench) -> float:
    account = bench.account
    return account.epsilon() if isinstance(account, SimulatedAccount) else account.receipt().epsilon


def _weight(bench: Bench, duties: Duties) -> float:
    return float(bench.data.train.units) if duties.by_examples else 1.0
