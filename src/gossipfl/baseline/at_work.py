"""A deployed client at work, for one message: its bench is built, used and put away. Settings: see `deployed_client`.

on trial     its part of the common data, seeded noise, an account in Flower's `Context`; it tells how good it is
in earnest   its own data, noise and batches nobody can repeat, the ledger; what it tells is noised or counts its steps
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from flwr.app import Context, Error, Message

from gossipfl.baseline.client import PARTITION, Duties, Workplace, evaluate_reply, roll_reply, train_reply
from gossipfl.baseline.noise_check import check_earnest
from gossipfl.baseline.records import CONFIG, FAILED
from gossipfl.baseline.same_experiment import check_terms
from gossipfl.baseline.trial import Staff, duties_of
from gossipfl.config.experiment import Experiment
from gossipfl.config.loading import load_experiment
from gossipfl.errors import ConfigError, GossipflError, HandshakeError
from gossipfl.learning.bench import Bench, build_learner
from gossipfl.learning.books import RunTerms
from gossipfl.learning.data import DataSite
from gossipfl.learning.data.token_folder import prepare_folder
from gossipfl.runs.roster import Roster
from gossipfl.runs.run_directory import locked

Reply = Callable[[Workplace, Duties, Message, Context], Message]
logger = logging.getLogger("flwr.gossipfl")


def query(message: Message, context: Context) -> Message:
    """See `roll_reply`."""
    return _answer(roll_reply, message, context)


def train(message: Message, context: Context) -> Message:
    """See `train_reply`."""
    return _answer(train_reply, message, context)


def evaluate(message: Message, context: Context) -> Message:
    """See `evaluate_reply`."""
    return _answer(evaluate_reply, message, context)


@dataclass(frozen=True, slots=True)
class Post:
    """One client at its bench.

    Attributes:
        duties: what it does, and what it keeps to itself.
    """

    own: Bench
    duties: Duties

    def bench(self, number: int) -> Bench:
        """Its own; see `Workplace`."""
        del number
        return self.own


def _answer(reply: Reply, message: Message, context: Context) -> Message:
    try:
        with _at_work(context) as post:
            check_terms(message.content.config_records[CONFIG], post.own.adapted)
            return reply(post, post.duties, message, context)
    except GossipflError as error:
        logger.error("%s: %s", type(error).__name__, error)  # noqa: TRY400  # one line, for the user
        return Message(Error(FAILED, _told(error, context)), reply_to=message)
    except Exception as error:
        # Flower would send the text of the exception, and in it may be a record
        logger.exception("this client failed")
        return Message(Error(FAILED, _told(error, context)), reply_to=message)


def _told(error: Exception, context: Context) -> str:
    """What the server learns: in earnest not what is wrong with private data."""
    kind = type(error).__name__
    # of a handshake: hashes of the experiment, which is everybody's
    told = _is_trial(context) or isinstance(error, HandshakeError)
    return f"{kind}: {error}" if told else f"{kind}; this client's log says more"


@contextmanager
def _at_work(context: Context) -> Iterator[Post]:
    config = context.node_config
    path = Path(_text(context, "experiment"))
    experiment = load_experiment(path).experiment
    folder = Path(str(config.get("folder") or path.parent))
    number = _number(context, experiment.simulation.nodes)
    if _is_trial(context):
        names = experiment.simulation.names
        staff = Staff(experiment, Roster(names, folder), [names[number]])
        yield Post(staff.bench(number), duties_of(experiment))
        return
    duties = _private_duties(experiment)
    with _own_tokens(experiment, folder, context) as tokens:
        bench = _private_bench(experiment, folder, context, tokens)
        try:
            yield Post(bench, duties)
        finally:
            # the next message's process wants the ledger
            bench.close()


@contextmanager
def _own_tokens(experiment: Experiment, folder: Path, context: Context) -> Iterator[Path | None]:
    """The client's folder of tokens, if it has one, in which no other message's process works meanwhile."""
    given = context.node_config.get("tokens")
    if given is None:
        yield None
        return
    tokens = folder / str(given)
    tokens.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(tokens / "lock"):
        prepare_folder(tokens, kept=experiment.data.tokens == "mapped")
        yield tokens


def _private_bench(experiment: Experiment, folder: Path, context: Context, tokens: Path | None) -> Bench:
    """The bench of a client whose data is its own: noise and batches that nobody can repeat, and the ledger."""
    config, name = context.node_config, _text(context, "name")
    site = DataSite(name, (name,), _text(context, "data"), folder, folder, tokens=tokens)
    ledger, new = config.get("ledger"), config.get("new-account")
    terms = RunTerms(
        run=f"flower-{context.run_id}",
        ledger=None if ledger is None else str(ledger),
        new_account=None if new is None else str(new),
    )
    return build_learner(experiment, site, terms)


def _private_duties(experiment: Experiment) -> Duties:
    """The server's word is not enough: this client's own file is looked at."""
    check_earnest(experiment)
    return replace(duties_of(experiment), step_s=None, judges=False, train_loss=False)


def _is_trial(context: Context) -> bool:
    return context.node_config.get("trial") is True


def _number(context: Context, nodes: int) -> int:
    """The client's, by which the server tells it from the others."""
    value = context.node_config.get(PARTITION)
    if type(value) is not int or value not in range(nodes):
        said = "is missing" if value is None else f"is {value!r}"
        raise ConfigError(f"--node-config: {PARTITION} {said}, a number from 0 to {nodes - 1} was expected")
    return value


def _text(context: Context, key: str) -> str:
    value = context.node_config.get(key)
    if not isinstance(value, str) or not value:
        raise ConfigError(f"--node-config: {key} is missing, a text was expected")
    return value
