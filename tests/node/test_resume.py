"""A run that is killed between two phases and resumed equals one that never stopped, bit for bit.

Two nodes in one process: real learners, protocols and checkpoints; messages are delivered in one fixed order.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.node.conftest import Begin
from tests.node.study import Study

from gossipfl.config.loading import LoadedPeers, load_peers
from gossipfl.core.events import Checkpoint, Event, NeighborUp, Received, Send, Started, Train, Trained
from gossipfl.core.mixing import MIXINGS
from gossipfl.core.protocol import Parts, Protocol
from gossipfl.core.protocols import PROTOCOLS
from gossipfl.core.snapshot import Snapshot
from gossipfl.learning.bench import Bench, build_learner
from gossipfl.learning.books import RunTerms
from gossipfl.node.assembly import site_of
from gossipfl.node.checkpoint import Saved, load_latest, save_checkpoint
from gossipfl.node.schedules import schedule_of
from gossipfl.privacy.publishing import Publisher
from gossipfl.state import AdapterState

PHASES = 4


@dataclass
class Player:
    """One node: what `node.runtime` would hold."""

    name: str
    folder: Path
    bench: Bench
    protocol: Protocol[AdapterState]
    moments: Mapping[str, Any]
    phase: Train[AdapterState] | None = None
    inbox: deque[Event[AdapterState]] = field(default_factory=deque)


def player(loaded: LoadedPeers, name: str, folder: Path) -> Player:
    """A node that goes on from its newest checkpoint."""
    node = loaded.peers.nodes[loaded.names.index(name)]
    experiment = loaded.experiment.experiment
    terms = RunTerms("run", ledger=str(folder / "ledger.sqlite"), streams="seeded")
    bench = build_learner(experiment, site_of(loaded, node), terms)
    saved, initial = load_latest(folder), bench.adapted.initial
    if saved is not None:
        bench.learner.restore(saved.optimizer)
    snapshot = saved.snapshot if saved else Snapshot(state=initial, unmixed=initial)
    parts = Parts(
        name=name,
        schedule=schedule_of(loaded),
        mixing=MIXINGS[experiment.gossip.mixing](experiment.gossip),
        gossip=experiment.gossip,
        phases=experiment.training.phases,
        local_steps=experiment.training.local_steps,
        clear=Publisher(bench.account).clear,
        snapshot=snapshot,
    )
    return Player(name, folder, bench, PROTOCOLS[experiment.gossip.protocol](parts), bench.learner.durable())


@contextmanager
def life(study: Study, home: Path) -> Iterator[list[Player]]:
    """Both nodes from start or restart to the next kill."""
    loaded = load_peers(study.peers)
    players = []
    for name in study.names:
        (home / name).mkdir(parents=True, exist_ok=True)
        players.append(player(loaded, name, home / name))
    try:
        for one in players:
            one.inbox.extend([Started(), *(NeighborUp(other.name) for other in players if other is not one)])
        yield players
    finally:
        for one in players:
            one.bench.close()


def deliver(players: list[Player]) -> None:
    """Handles all that waits, node by node, until only training is left."""
    while waiting := [one for one in players if one.inbox]:
        for one in waiting:
            handle(one, one.inbox.popleft(), players)


def handle(one: Player, event: Event[AdapterState], players: list[Player]) -> None:
    for effect in one.protocol.handle(event, 0.0):
        match effect:
            case Train():
                one.phase = effect
            case Checkpoint(snapshot=snapshot):
                save_checkpoint(one.folder, Saved(snapshot, one.moments))
            case Send(receiver=receiver, content=content, header=header):
                other = next(other for other in players if other.name == receiver)
                other.inbox.append(Received(one.name, content.state, header))
            case _:
                pass


def train(one: Player) -> None:
    """Carries out the phase asked for."""
    asked = one.phase
    assert asked is not None
    one.phase = None
    done = one.bench.learner.train(asked.snapshot, first_step=asked.first_step, steps=asked.steps)
    one.moments = one.bench.learner.durable()
    one.inbox.append(Trained(asked.version, done.state, done.steps, done.units, done.receipt, done.exhausted))


def run(study: Study, home: Path, *, kill_after: frozenset[int]) -> list[Snapshot[AdapterState]]:
    """The nodes' last checkpoints; everything but the disk is lost after the given phases."""
    phase = 0
    while phase < PHASES:
        with life(study, home) as players:
            deliver(players)
            while phase < PHASES:
                for one in players:
                    train(one)
                phase += 1
                if phase in kill_after and phase < PHASES:
                    # the phase is trained and durable; what was sent is lost on its way
                    for one in players:
                        handle(one, one.inbox.popleft(), players)
                    break
                deliver(players)
    found = [load_latest(home / name) for name in study.names]
    assert all(found)
    return [saved.snapshot for saved in found if saved]


@pytest.mark.parametrize(
    ("protocol", "level", "optimizer"),
    [
        ("wait_free", "example", "adam"),
        ("wait_free", "example", "sgd"),
        ("wait_free", "update", "sgd"),
        ("wait_free", "none", "adam"),
        ("wait_free", "none", "sgd"),
        ("sync", "example", "adam"),
        ("sync", "none", "sgd"),
    ],
)
@pytest.mark.slow
def test_a_run_killed_between_phases_equals_one_that_never_stopped(
    begin: Begin, tmp_path: Path, protocol: str, level: str, optimizer: str
) -> None:
    privacy: dict[str, Any] = {"level": level} | ({"target_epsilon": None} if level == "none" else {})
    training = {"phases": PHASES, "optimizer": optimizer, "schedule": "cosine", "warmup_steps": 2}
    study = begin(names=("ada", "bob"), training=training, privacy=privacy, gossip={"protocol": protocol})
    whole = run(study, tmp_path / "whole", kill_after=frozenset())
    killed = run(study, tmp_path / "killed", kill_after=frozenset({1, 3}))
    for one, other in zip(whole, killed, strict=True):
        assert one.step == other.step == 2 * PHASES
        assert np.array_equal(one.state.vector, other.state.vector)
        assert np.array_equal(one.drift.vector, other.drift.vector)
        assert (one.phase, one.round, one.settle_rounds) == (other.phase, other.round, other.settle_rounds)
        assert (one.receipt.epsilon, one.receipt.charges) == (other.receipt.epsilon, other.receipt.charges)
