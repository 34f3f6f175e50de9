"""What of a node's own model may be exported: what its ledger covers, or what nobody was promised anything about."""

from pathlib import Path

from gossipfl.config.experiment import Experiment
from gossipfl.errors import PrivacyError
from gossipfl.node.personal import OwnModel, own_model
from gossipfl.privacy.covered import check_covered
from gossipfl.privacy.ledger_link import read_ledger_link
from gossipfl.state import AdapterState


def exportable(state_dir: Path, experiment: Experiment, mixed: AdapterState, *, tuned: bool) -> AdapterState:
    """The node's own model, for `export`.

    Args:
        experiment: the one the model was made in.
        mixed: the node's newest state.
        tuned: as it was fine-tuned, without the weight that held-out records chose.

    Raises:
        StateError: see `own_model`.
        PrivacyError: it was to stay; its training or its weight is not covered by the ledger.
    """
    own = own_model(state_dir, mixed)
    if own.terms["stays"] or experiment.personal.stays:
        raise PrivacyError(
            "personal.stays: the personal model was made to stay on this machine, without noise and without a charge; "
            "for one that may leave run the node with personal.stays false"
        )
    if own.terms["level"] != "none" or experiment.privacy.level != "none":
        _check(state_dir, experiment, own, tuned=tuned)
    return own.tuned.state if tuned else own.state


def _check(state_dir: Path, experiment: Experiment, own: OwnModel, *, tuned: bool) -> None:
    if not tuned and (own.weight != 1.0 or experiment.personal.interpolate):
        raise PrivacyError(
            "personal.interpolate: the weight was chosen by held-out records, which no ε covers; --tuned exports the "
            "model as it was fine-tuned, whose every step is charged"
        )
    try:
        check_covered(read_ledger_link(state_dir), own.tuned.receipt)
    except PrivacyError as error:
        raise PrivacyError(f"the personal model of {state_dir} may not be exported: {error}") from error
