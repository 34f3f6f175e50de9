"""How good a node's models are, on its held-out part, the common test set, or any file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gossipfl.config.experiment import Experiment
from gossipfl.config.loading import LoadedPeers, load_peers, resolve_self
from gossipfl.errors import DataError, StateError
from gossipfl.learning.adapters import Adapted
from gossipfl.learning.bench import load_adapted
from gossipfl.learning.context import cut_notice
from gossipfl.learning.data import DataSite, Examples, NodeData, load_node_records, load_test, tokenize_node
from gossipfl.learning.data.any_file import DataFile, read_examples
from gossipfl.learning.device import autocast_type, choose_device
from gossipfl.learning.evaluation import Evaluation
from gossipfl.learning.learner import judged
from gossipfl.learning.personal import Figures, Personalized, with_gains
from gossipfl.learning.tasks import Task, make_task
from gossipfl.node.assembly import site_of, state_dir_of
from gossipfl.node.checkpoint import load_latest
from gossipfl.node.intake import with_folder
from gossipfl.node.personal import own_model
from gossipfl.node.ranks import as_node
from gossipfl.state import AdapterState


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be evaluated.

    Attributes:
        peers: peers.yaml.
        name: of the node.
        data: file to evaluate on; None: the node's held-out part, else the common test set.
        state_dir: the node's; None: where it lies when nobody says otherwise.
        overrides: `a.b=value` for the experiment.
        notice: told in one line how many records were cut.
    """

    peers: Path
    name: str
    data: DataFile | None = None
    state_dir: Path | None = None
    overrides: Sequence[str] = ()
    notice: Callable[[str], None] = lambda _: None


def evaluate_node(wanted: Wanted) -> Evaluation:
    """Loss and metrics of the node's newest checkpoint.

    Raises:
        StateError: the node has no checkpoint yet.
        DataError: there is nothing to evaluate on.
    """
    desk = desk_of(wanted)
    state = newest_state(desk.folder)
    examples = desk.examples(wanted.data)
    if examples is None:
        raise DataError("nothing to evaluate on: give --data FILE, data.held_out, data.test or data.test_share")
    _tell_of_cuts(wanted, examples, desk)
    return desk.evaluate(state, examples)


def evaluate_personal(wanted: Wanted, alone: Path | None) -> dict[str, Any]:
    """Figures of the node's own model beside those of the state that it was made from; see `Personalized.as_json`.

    Without a file they are those that the node found itself, cross-fitted on its held-out part; on a file, which had
    no part in any choice, all are found anew and called `test_*`.

    Args:
        alone: state directory of a run of this node without neighbors; None leaves that comparison out.

    Raises:
        StateError: the node has no finished model of its own, or there is no checkpoint at `alone`.
        DataError: there is nothing to evaluate on.
    """
    desk = desk_of(wanted)
    mixed = newest_state(desk.folder)
    own = own_model(desk.folder, mixed)
    states = {"global": mixed, "tuned": own.tuned.state, "personal": own.state}
    lone = {} if alone is None else {"alone": newest_state(alone)}
    if wanted.data is None:
        judged = {name: desk.figures(state).as_json() for name, state in lone.items()}
        return with_gains({**own.figures, **judged})
    examples = desk.examples(wanted.data)
    if examples is None or not examples.rows:
        raise DataError(f"--data {wanted.data.path} holds no record")
    _tell_of_cuts(wanted, examples, desk)
    found = {name: Figures(None, desk.evaluate(state, examples)) for name, state in {**states, **lone}.items()}
    return Personalized(own.weight, found).as_json()


def newest_state(folder: Path) -> AdapterState:
    """The state of the newest checkpoint in a state directory.

    Raises:
        StateError: there is none.
    """
    saved = load_latest(folder)
    if saved is None:
        raise StateError(f"{folder} holds no checkpoint: its node has not trained yet")
    return saved.state


@dataclass(frozen=True, slots=True)
class Desk:
    """A model in memory, and where a node's things lie."""

    experiment: Experiment
    site: DataSite
    folder: Path
    adapted: Adapted
    task: Task

    def evaluate(self, state: AdapterState, examples: Examples) -> Evaluation:
        """Loss and metrics."""
        self.adapted.write(state)
        device = choose_device(self.experiment.training)
        batch = self.experiment.training.micro_batch
        return judged(self.adapted, self.adapted.module, self.task, examples.to(device), micro_batch=batch)

    def figures(self, state: AdapterState) -> Figures:
        """On the node's held-out part and on the common test set."""
        held_out = self.data().held_out if self.experiment.data.held_out else None
        parts = (held_out, load_test(self.experiment, self.site.folder, self.adapted.reader))
        own, test = (self.evaluate(state, part) if part is not None and part.rows else None for part in parts)
        return Figures(own, test)

    def examples(self, data: DataFile | None) -> Examples | None:
        """Those of a file; without one of the held-out part, else of the common test set."""
        experiment, tokenizer = self.experiment, self.adapted.reader
        if data is not None:
            return read_examples(experiment, data, tokenizer)
        return self.data().held_out if experiment.data.held_out else load_test(experiment, self.site.folder, tokenizer)

    def data(self) -> NodeData:
        """The node's; those of a watched folder as it has taken them in."""
        site, _ = with_folder(self.experiment, self.site, self.folder, keeps=False)
        return tokenize_node(self.experiment, load_node_records(self.experiment, site), self.adapted.reader)


def _tell_of_cuts(wanted: Wanted, examples: Examples, desk: Desk) -> None:
    if cut := cut_notice([examples], desk.experiment.task):
        wanted.notice(cut)


def desk_of(wanted: Wanted) -> Desk:
    """The node's model in memory.

    Raises:
        StateError: it has not trained yet.
        UserError: peers.yaml or model is not what it should be.
    """
    loaded: LoadedPeers = load_peers(wanted.peers, wanted.overrides)
    me = resolve_self(loaded.peers, wanted.name, {})
    loaded = as_node(loaded, me)
    experiment, site = loaded.experiment.experiment, site_of(loaded, me)
    folder = wanted.state_dir or state_dir_of(loaded, me)
    newest_state(folder)
    adapted = load_adapted(experiment, site)
    device = choose_device(experiment.training)
    adapted.module.to(device)
    task = make_task(experiment.task, autocast=autocast_type(experiment.training, device))
    return Desk(experiment, site, folder, adapted, task)
