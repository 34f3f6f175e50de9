"""Runs a world to its end: evaluates, checkpoints now and then, goes on where a stopped run was."""

import gc
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from signal import SIGINT, SIGTERM
from types import FrameType
from typing import Any, Protocol

import numpy as np

from gossipfl.runs.progress import Progress
from gossipfl.runs.run_directory import RunDirectory
from gossipfl.runs.signals import handling
from gossipfl.sim.freezing import freeze, thaw
from gossipfl.sim.personal import PersonalStage
from gossipfl.sim.recording import Recorder
from gossipfl.sim.world import World
from gossipfl.state import AdapterState

LOOK_EVERY = 256
"""Happenings between two reports of progress, at most."""
LOOK_S = 0.2
"""Real seconds between them, at most, but for a happening that trains for longer."""
SAVING_SHARE = 0.05
"""Of the time, at most, goes into checkpoints: they are farther apart where one takes long."""
COLLECT_AFTER = (100_000, 20, 20)
"""Thresholds of the garbage collector: what nodes pass on has no cycles, and looking for some costs a tenth."""


class Engines(Protocol):
    """What trains, as a run's checkpoint sees it."""

    def state(self) -> object:
        """All that changes and is not in the world: moments, accounts, pending phases."""
        ...

    def restore(self, state: Any) -> None:  # noqa: ANN401  # what `state` gave
        """Takes over what `state` gave."""
        ...


@dataclass(frozen=True, slots=True)
class RunParts:
    """A run ready to go.

    Attributes:
        world: with everything in it.
        recorder: evaluates it.
        directory: where it is kept.
        engines: what trains; None without training.
        personal: makes the nodes' own models at the end; None: they have none.
        generators: all randomness of the models, by purpose.
        shared: what checkpoints name instead of holding it.
        rounds: exchange rounds that each node does, about.
        until_s: virtual time at which it ends.
        checkpoint_s: real seconds between checkpoints, at least; see `SAVING_SHARE`.
    """

    world: World[AdapterState]
    recorder: Recorder
    directory: RunDirectory
    engines: Engines | None
    generators: Mapping[str, np.random.Generator]
    shared: Mapping[str, object]
    rounds: int
    personal: PersonalStage | None = None
    until_s: float = math.inf
    checkpoint_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Ran:
    """What a process did of a run.

    Attributes:
        seconds: real ones, those of earlier processes among them.
        done: the run came to its end; otherwise it was stopped, and can go on.
    """

    seconds: float
    done: bool


class Run:
    """One process's part of a run."""

    def __init__(self, parts: RunParts, show: Callable[[Progress], None]) -> None:
        self._parts = parts
        self._show = show
        self._earlier_s = 0.0
        self._started = time.monotonic()
        self._stopped = False

    def __call__(self) -> Ran:
        """Runs to the end, or until SIGINT or SIGTERM: then a checkpoint is left."""
        state = self._parts.directory.load(lambda file: thaw(file, self._parts.shared))
        if state is None:
            self._parts.recorder.begin()
        else:
            self._take_up(state)
        with handling((SIGINT, SIGTERM), self._stop), _rarely_collecting():
            self._advance(lambda: self._parts.world.advance(self._parts.until_s))
            self._advance(self._personalize)
        if self._stopped:
            self._save()
        else:
            self._parts.recorder.finish()
        return Ran(self._seconds, not self._stopped)

    @property
    def _seconds(self) -> float:
        return self._earlier_s + time.monotonic() - self._started

    def _personalize(self) -> bool:
        """Makes the next personal models; False when there are none left."""
        stage = self._parts.personal
        return stage is not None and stage.advance(self._parts.world)

    def _advance(self, happens: Callable[[], bool]) -> None:
        """Lets one thing after the other happen, until nothing does, or the run is stopped."""
        looked = time.monotonic()
        save_at = looked + self._parts.checkpoint_s
        happened = 0
        # a stop waits for one happening: it may train for seconds
        while not self._stopped and happens():
            happened += 1
            now = time.monotonic()
            if happened % LOOK_EVERY and now - looked < LOOK_S:
                continue
            looked = now
            self._show(self._progress())
            if now >= save_at:
                self._save()
                saved = time.monotonic()
                save_at = saved + max(self._parts.checkpoint_s, (saved - now) / SAVING_SHARE)

    def _progress(self) -> Progress:
        world = self._parts.world
        rounds = world.reports / len(world.bodies)
        # nodes that wait for others go on for longer: nobody knows how much
        left_s = self._seconds * (self._parts.rounds / rounds - 1) if 0 < rounds < self._parts.rounds else None
        return Progress(rounds, world.steps or world.reports, world.now, self._seconds, left_s)

    def _save(self) -> None:
        parts = self._parts
        state = {
            "engines": parts.engines and parts.engines.state(),
            "world": parts.world.state(),
            "recorder": parts.recorder.state(),
            "personal": parts.personal and parts.personal.found,
            "generators": {name: rng.bit_generator.state for name, rng in parts.generators.items()},
            "seconds": self._seconds,
        }
        parts.directory.save(lambda sink: freeze(state, parts.shared, sink))

    def _take_up(self, state: Any) -> None:  # noqa: ANN401  # what `_save` wrote
        parts = self._parts
        if parts.engines is not None:
            parts.engines.restore(state["engines"])
        parts.world.restore(state["world"])
        parts.recorder.restore(state["recorder"])
        if parts.personal is not None:
            parts.personal.found = state["personal"]
        for name, rng in parts.generators.items():
            rng.bit_generator.state = state["generators"][name]
        self._earlier_s = state["seconds"]

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopped = True


@contextmanager
def _rarely_collecting() -> Iterator[None]:
    """Leaves all that there is out of garbage collection, and looks for new cycles now and then."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
