"""How good a node's current adapter is, on its held-out part, the common test set, or any file."""

from collections.abc import Sequence
from pathlib import Path

from gossipfl.config.loading import load_peers, resolve_self
from gossipfl.errors import DataError, StateError
from gossipfl.learning.bench import load_adapted
from gossipfl.learning.data import load_node_records, load_test, tokenize_node
from gossipfl.learning.device import autocast_type, choose_device
from gossipfl.learning.evaluation import Evaluation
from gossipfl.learning.learner import judged
from gossipfl.learning.tasks import make_task
from gossipfl.node.assembly import site_of, state_dir_of
from gossipfl.node.checkpoint import load_latest
from gossipfl.node.ranks import as_node


def evaluate_node(
    peers: Path, *, name: str, data: Path | None, state_dir: Path | None = None, overrides: Sequence[str] = ()
) -> Evaluation:
    """Loss and metrics of the node's newest checkpoint.

    Args:
        data: file to evaluate on; default: the node's held-out part, else the common test set.

    Raises:
        StateError: the node has no checkpoint yet.
        DataError: there is nothing to evaluate on.
    """
    loaded = load_peers(peers, overrides)
    me = resolve_self(loaded.peers, name, {})
    loaded = as_node(loaded, me)
    experiment, site = loaded.experiment.experiment, site_of(loaded, me)
    folder = state_dir or state_dir_of(loaded, me)
    saved = load_latest(folder)
    if saved is None:
        raise StateError(f"{folder} holds no checkpoint: node {me.name!r} has not trained yet")
    adapted = load_adapted(experiment, site)
    device = choose_device(experiment.training)
    adapted.module.to(device)
    adapted.write(saved.state)
    if data is not None:
        named = experiment.model_copy(update={"data": experiment.data.model_copy(update={"test": str(data.resolve())})})
        examples = load_test(named, site.folder, adapted.reader)
    elif experiment.data.held_out:
        examples = tokenize_node(experiment, load_node_records(experiment, site), adapted.reader).held_out
    else:
        examples = load_test(experiment, site.folder, adapted.reader)
    if examples is None:
        raise DataError("nothing to evaluate on: give --data FILE, data.held_out, data.test or data.test_share")
    task = make_task(experiment.task, autocast=autocast_type(experiment.training, device))
    return judged(adapted, adapted.module, task, examples.to(device), micro_batch=experiment.training.micro_batch)
