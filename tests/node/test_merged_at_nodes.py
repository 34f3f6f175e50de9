"""A node with an adapter per period: they outlive kills and restarts, and a way back to a checkpoint of before."""

import asyncio
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.forked import forked
from tests.node.conftest import Begin
from tests.node.growing import PRIVATE, Life, alive, put, watch
from tests.node.study import Study, make_study, records

from gossipfl.core.snapshot import Snapshot
from gossipfl.node.checkpoint import Saved, load_latest, save_checkpoint
from gossipfl.node.periods import read_journal
from gossipfl.state import AdapterState
from gossipfl.studies.fleet import Job

MERGED = "training.continual=merged"
FILES = {2: "b.jsonl", 4: "c.jsonl"}
"""By the phase before which they come."""
OFFSET, ADAPTERS = "continual/offset", "continual/adapters"


def study_in(begin: Begin) -> Study:
    return watch(begin(names=("ada", "bob"), privacy=PRIVATE, training={"evaluate_every": 0}))


def come(study: Study, life: Life, phase: int) -> None:
    if phase in FILES:
        put(study, FILES[phase], records(10 + phase))
        life.wake()


def step(life: Life) -> None:
    """A phase and its checkpoint, as the node's loop has them."""
    done = life.train()
    state, steps = life.state, life.phase * 2
    snapshot = Snapshot(state=state, unmixed=state, phase=life.phase, step=steps, receipt=done.trained.receipt)
    asyncio.run(life.parts.save(snapshot, done.moments))


def going_on(study: Study, *, until: int) -> AdapterState:
    """One life after the other, each of one phase."""
    for phase in range(until):
        with alive(study, MERGED) as life:
            if phase:
                life.state, life.phase = life.parts.protocol.snapshot.state, life.parts.protocol.snapshot.phase
            come(study, life, phase)
            step(life)
    return study.saved("ada").state


@pytest.mark.slow
def test_a_life_for_every_phase_comes_to_what_one_life_comes_to(begin: Begin, tmp_path: Path) -> None:
    study = study_in(begin)
    whole = study.folder.rename(tmp_path / "whole")
    study = Study(whole, study.names)
    with alive(study, MERGED) as life:
        for phase in range(6):
            come(study, life, phase)
            step(life)
    once = study.saved("ada")
    assert int(once.optimizer[ADAPTERS]) == len(read_journal(study.state("ada")).periods) == 3
    assert np.abs(once.optimizer[OFFSET]).max() > 0

    parts = study_in(begin)
    assert going_on(parts, until=6) == once.state
    again = parts.saved("ada").optimizer
    assert again.keys() == once.optimizer.keys()
    assert all(np.array_equal(again[name], once.optimizer[name]) for name in again)


def test_back_at_a_checkpoint_of_fewer_periods_the_newest_adapter_begins_at_what_is_shared(begin: Begin) -> None:
    """What has come since has come: its adapter is the third of three, and where that one was is forgotten."""
    study = study_in(begin)
    going_on(study, until=4)
    kept = study.saved("ada")
    assert int(kept.optimizer[ADAPTERS]) == 2
    with alive(study, MERGED) as life:
        life.state, life.phase = kept.state, kept.snapshot.phase
        come(study, life, 4)
        step(life)
    save_checkpoint(study.state("ada"), kept)
    with alive(study, MERGED) as life:
        before = life.parts.protocol.snapshot.state
        assert before == kept.state
        life.state, life.phase = before, kept.snapshot.phase
        step(life)
        moved, offset = life.state.vector - before.vector, life.parts.bench.learner.offset.durable()
    assert int(offset[ADAPTERS]) == 3
    # Δ/3 and (1 − 1/3)·Δ, from the mean
    np.testing.assert_allclose(offset[OFFSET], 2 * moved, atol=1e-5)


def test_a_checkpoint_of_a_run_without_several_adapters_is_what_it_always_was(begin: Begin) -> None:
    study = study_in(begin)
    going_on(study, until=1)
    assert not [name for name in study.saved("ada").optimizer if name.startswith("continual/")]


PLAIN: dict[str, Any] = {"level": "none", "target_epsilon": None}
TRAINING = {"phases": 12, "local_steps": 2, "evaluate_every": 0, "continual": "merged"}
ALONE = {"linger_s": 0.3, "settle_rounds": 1, "deadline_s": 1}
"""A node whose neighbor never comes."""
FIRST = ("before the checkpoint", 5)
"""Where the life ends before whose end no second period comes."""
LATER = [("before the checkpoint", 2), ("while the checkpoint is written", 3), ("after the step", 5)]


def live(study: Study, module: str, *arguments: str) -> int:
    """The exit code of one life."""
    program = ["-m", module, *arguments, "node", "--peers", str(study.peers), "--name", "ada"]
    return forked(Job("ada", program, study.folder / "ada.log"), os.environ).wait(100)


def lived(folder: Path, model: Path, kills: Sequence[tuple[str, int]]) -> Saved:
    """The end of a real node that is given a file between its first life and its second, and killed as told."""
    study = watch(make_study(folder, model, names=("ada", "bob"), training=TRAINING, gossip=ALONE, privacy=PLAIN))
    for number, (where, count) in enumerate([FIRST, *kills]):
        assert live(study, "tests.node.killed_node", where, str(count)) == -signal.SIGKILL
        if not number:
            put(study, "b.jsonl", records(12))
    assert live(study, "gossipfl") == 0, (folder / "ada.log").read_text()
    saved = load_latest(study.state("ada"))
    assert saved is not None
    return saved


@pytest.mark.slow
def test_a_real_node_that_is_killed_again_and_again_ends_as_one_that_is_not(tmp_path: Path, tiny_model: Path) -> None:
    once, often = (lived(tmp_path / str(len(kills)) / "study", tiny_model, kills) for kills in ([], LATER))
    assert once.snapshot.phase == often.snapshot.phase == TRAINING["phases"]
    assert int(once.optimizer[ADAPTERS]) == 2
    assert once.state == often.state
    assert np.array_equal(once.optimizer[OFFSET], often.optimizer[OFFSET])
