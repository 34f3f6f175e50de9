"""A node's own model, made behind its last exchange: by then the node has left the network, so nothing of it is sent.

    state/NAME/personal/    checkpoint-…   where it began (`unmixed`), where it is, its receipt, after each phase
                            about.json     on what terms; in the end its weight and figures

A killed node goes on after the last whole phase. Weight and figures follow from held-out records: they stay here.
"""

import json
import logging
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gossipfl.config.experiment import Experiment
from gossipfl.core.json_text import json_text
from gossipfl.core.snapshot import Snapshot
from gossipfl.errors import PrivacyError, StateError
from gossipfl.learning.personal import Personal, Personalized, Tuned, between
from gossipfl.node.checkpoint import Saved, load_latest, save_checkpoint, write_durably
from gossipfl.node.parts import NodeParts
from gossipfl.runs.signals import handling
from gossipfl.state import AdapterState

logger = logging.getLogger(__name__)

FOLDER = "personal"
_ABOUT = "about.json"


@dataclass(frozen=True, slots=True)
class OwnModel:
    """A finished personal model of a state directory.

    Attributes:
        tuned: with the state that it began from.
        weight: between the two, chosen by held-out loss; 1 without interpolation.
        figures: as they were found, see `Personalized.as_json`.
        terms: see `terms_of`.
    """

    tuned: Tuned
    weight: float
    figures: Mapping[str, Any]
    terms: Mapping[str, Any]

    @property
    def state(self) -> AdapterState:
        """The model itself."""
        return between(self.tuned.mixed, self.tuned.state, self.weight)


def personalize(parts: NodeParts) -> None:
    """Makes the node's own model, if it is to have one and its run is done; the record then says how good it is.

    Guarantees:
        Nothing is sent: no transport is open. SIGTERM and SIGINT end it after an optimizer step; the same command goes
        on after the last whole phase.

    Raises:
        StateError: a part of it that was saved is not covered by the data's ledger, or disk or ledger failed.
        DivergedError: its values are no longer finite.
    """
    record = parts.record
    if parts.bench.tuner is not None and record.state in {"stopped", "interrupted"}:
        logger.info("no personal model yet: it is made when the node's run is done, without --serve")
    if parts.bench.tuner is None or record.state != "done":
        return
    personal, folder = Personal(parts.bench), parts.directory.path / FOLDER
    with _stopping(personal) as stopped:
        tuned = _tune(personal, _begun(personal, folder, parts), folder, stopped)
        if not stopped:
            record.personal = personal.settle(tuned)
    if stopped:
        record.state = "interrupted" if signal.SIGINT in stopped else "stopped"
    record.receipt = parts.bench.account.receipt()
    _write_about(folder, terms_of(parts.experiment), record.personal)
    parts.directory.append_metrics(json_text(record.as_json()))


def _tune(personal: Personal, tuned: Tuned, folder: Path, stopped: list[int]) -> Tuned:
    while not stopped and not personal.is_over(tuned):
        further = personal.advance(tuned)
        # a phase that was cut short is done again
        if not stopped:
            tuned = further
            save_checkpoint(folder, _saved(tuned))
            logger.info("personal phase %d done", tuned.phases)
    if tuned.exhausted:
        logger.warning("the privacy budget is spent: the personal model has %d steps", tuned.steps)
    return tuned


def terms_of(experiment: Experiment) -> dict[str, Any]:
    """What must be as it was for a model to be gone on with."""
    training, own = experiment.training, experiment.personal
    return {
        "level": experiment.privacy.level,
        "stays": own.stays,
        "learning_rate": own.learning_rate or training.learning_rate,
        "optimizer": training.optimizer,
        "local_steps": training.local_steps,
    }


def _begun(personal: Personal, folder: Path, parts: NodeParts) -> Tuned:
    """The model as an earlier life left it; anew where it began elsewhere or on other terms."""
    last = load_latest(parts.directory.path)
    if last is None:
        raise StateError(f"{parts.directory.path} holds no checkpoint to make a personal model of")
    terms = terms_of(parts.experiment)
    before = _tuned(folder)
    if before is None or before.mixed != last.state or _about(folder).get("terms") != terms:
        folder.mkdir(mode=0o700, exist_ok=True)
        # before its first checkpoint, which would be taken for one on the terms of before
        for old in folder.iterdir():
            old.unlink()
        _write_about(folder, terms, None)
        return personal.begin(last.state, last.snapshot.receipt)
    if not parts.experiment.personal.stays:
        _check_paid(parts, before)
    # whether the budget is spent is the ledger's to say: the target may have been raised meanwhile
    return replace(before, exhausted=False)


def _check_paid(parts: NodeParts, tuned: Tuned) -> None:
    try:
        parts.bench.account.require(tuned.receipt)
    except PrivacyError as error:
        raise StateError(
            f"{parts.directory.path / FOLDER}: the personal model is not covered by the data's ledger ({error}); "
            "restore the ledger, or remove the folder to begin the model anew"
        ) from error


def own_model(state_dir: Path, mixed: AdapterState) -> OwnModel:
    """The finished personal model of a state directory.

    Args:
        mixed: the node's newest state, from which it must have been made.

    Raises:
        StateError: there is none, it is not finished, or was made from another state.
    """
    folder = state_dir / FOLDER
    tuned = _tuned(folder)
    if tuned is None:
        raise StateError(f"{state_dir} holds no personal model: personal.phases is 0, or the node is not done yet")
    about = _about(folder)
    if tuned.mixed != mixed or not isinstance(about.get("figures"), dict):
        raise StateError(
            f"{folder}: the personal model is not finished for the node's newest state; run the node again"
        )
    return OwnModel(tuned, float(about["figures"]["weight"]), about["figures"], about["terms"])


def _tuned(folder: Path) -> Tuned | None:
    saved = load_latest(folder)
    if saved is None:
        return None
    snapshot = saved.snapshot
    if snapshot.unmixed is None:
        raise StateError(f"{folder} does not say what its model began from")
    return Tuned(
        mixed=snapshot.unmixed,
        state=snapshot.state,
        phases=snapshot.phase,
        steps=snapshot.step,
        receipt=snapshot.receipt,
        exhausted=snapshot.exhausted,
        moments=saved.optimizer,
    )


def _saved(tuned: Tuned) -> Saved:
    snapshot = Snapshot(
        state=tuned.state,
        unmixed=tuned.mixed,
        phase=tuned.phases,
        step=tuned.steps,
        receipt=tuned.receipt,
        exhausted=tuned.exhausted,
    )
    return Saved(snapshot, tuned.moments)


def _about(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise StateError(f"{folder / _ABOUT} cannot be read ({type(error).__name__}); remove {folder}") from error
    return found if isinstance(found, dict) else {}


def _write_about(folder: Path, terms: Mapping[str, Any], found: Personalized | None) -> None:
    about = {"terms": dict(terms), "figures": found and found.as_json()}
    write_durably(folder / _ABOUT, (json_text(about) + "\n").encode())


@contextmanager
def _stopping(personal: Personal) -> Iterator[list[int]]:
    """Signals that ask to stop end the phase under way, and stand in the list; in the main thread only."""
    asked: list[int] = []

    def stop(number: int, _frame: object) -> None:
        asked.append(number)
        personal.stop()

    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    with handling((signal.SIGINT, signal.SIGTERM), stop):
        yield asked
