"""Whatever gets lost, comes late or is started again: no sum is wrong, and no pad is used for two contents."""

import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np
import pytest
from tests.protection.neighborhood import NAMES, SLANTED, seeded, send_of, state_of, terms_of

from gossipfl.core.events import Summed
from gossipfl.protection.guards import build_guard
from gossipfl.protection.letters import HOP, SHARE, Guard, Job, Letter
from gossipfl.protection.vouching import Unsigned
from gossipfl.state import AdapterState

Edge = tuple[str, str]


@dataclass
class Weather:
    """Nodes that publish, meet and die as a generator decides, and lines that deliver in order, late or never.

    Attributes:
        lives: number of each node's.
        lines: letters on their way.
        published: states by node and round, of all lives.
        newest: state and round of each node's newest publication, of this life.
        pads: contents by what decides their key.
        sums: that were told with a mean.
    """

    seed: int
    changes: dict[str, Any]
    lives: dict[str, int] = field(default_factory=lambda: dict.fromkeys(NAMES, 0))
    lines: dict[Edge, list[Letter]] = field(default_factory=lambda: defaultdict(list))
    published: dict[tuple[str, int], list[AdapterState]] = field(default_factory=lambda: defaultdict(list))
    newest: dict[str, tuple[AdapterState, int]] = field(default_factory=dict)
    pads: dict[tuple[str, int, str, int], set[bytes]] = field(default_factory=lambda: defaultdict(set))
    sums: int = 0

    def __post_init__(self) -> None:
        """All links open."""
        self.random = Random(self.seed)  # noqa: S311  # the weather is no secret
        self.rounds = dict.fromkeys(NAMES, 0)
        self.guards = {name: self._guard(name) for name in NAMES}
        for name, other in itertools.combinations(NAMES, 2):
            self._meet(name, other)

    def step(self) -> None:
        """Something happens."""
        name, other = self.random.sample(NAMES, 2)
        match self.random.random():
            case chance if chance < 0.08:
                self._publish(name)
            case chance if chance < 0.09:
                self._restart(name)
            case chance if chance < 0.10:
                self._meet(name, other)
            case chance:
                self._deliver(lost=chance > 0.98)

    def _guard(self, name: str) -> Guard[AdapterState]:
        return build_guard(terms_of(name, **self.changes), Unsigned(), seeded(name, self.lives[name]))

    def _publish(self, name: str) -> None:
        if name in self.newest:
            self.rounds[name] += self.random.choice([0, 1, 1, 1, 2])
        again = name in self.newest and self.newest[name][1] == self.rounds[name]
        state = self.newest[name][0] if again else state_of(terms_of(name), self.random.randrange(10**6))
        self.newest[name] = state, self.rounds[name]
        self.published[self._key(name)].append(state)
        for other in NAMES:
            if other != name:
                self._work(name, self.guards[name].publish(send_of(other, state, self.rounds[name])))

    def _key(self, name: str) -> tuple[str, int]:
        return name, self.rounds[name]

    def _restart(self, name: str) -> None:
        """It goes on from a checkpoint, perhaps of the round before, and with another state."""
        self.lives[name] += 1
        self.guards[name] = self._guard(name)
        self.newest.pop(name, None)
        self.rounds[name] = max(0, self.rounds[name] - self.random.choice([0, 0, 1]))
        for other in NAMES:
            if other != name:
                self._meet(name, other)

    def _meet(self, *both: str) -> None:
        """A new link, with nothing on its way: both ends tell their keys, and what they published last."""
        for name, other in itertools.permutations(both):
            self.lines[name, other].clear()
        for name, other in itertools.permutations(both):
            self._post(name, self.guards[name].up(other))
            if name in self.newest:
                self._work(name, self.guards[name].publish(send_of(other, *self.newest[name])))

    def _deliver(self, *, lost: bool) -> None:
        busy = [edge for edge, letters in self.lines.items() if letters]
        if not busy:
            return
        sender, name = self.random.choice(busy)
        letter = self.lines[sender, name].pop(0)
        if lost:
            return
        taken = self.guards[name].take(sender, letter, self.rounds[name])
        self._post(name, taken.letters)
        for event in taken.events:
            if isinstance(event, Summed):
                self._check(name, event)
        self._work(name, taken.jobs)

    def _work(self, name: str, jobs: Sequence[Job[AdapterState]]) -> None:
        for job in jobs:
            made = job()
            if isinstance(made, Letter):
                self._post(name, [made])
            elif made is not None:
                self._check(name, made)

    def _post(self, name: str, letters: Sequence[Letter]) -> None:
        for letter in letters:
            self.lines[name, letter.to].append(letter)
            if letter.kind in {SHARE, HOP}:
                pad = self.pads[name, self.lives[name], letter.to, letter.header.round]
                pad.add(bytes(letter.content))
                assert len(pad) == 1

    def _check(self, name: str, summed: Summed[AdapterState]) -> None:
        if summed.mean is None:
            return
        weights = terms_of(name, **self.changes).weights(name)
        candidates = [self.published[sender, summed.round] for sender in weights]
        exact = [
            sum(w * state.vector for w, state in zip(weights.values(), states, strict=True)) / sum(weights.values())
            for states in itertools.product(*candidates)
        ]
        assert min(np.abs(each - summed.mean.vector).max() for each in exact) < 1e-5
        self.sums += 1


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "seeds", "steps"), [("masked", 30, 1200), ("homomorphic", 4, 800)])
def test_no_sum_is_wrong_and_no_pad_is_used_twice(kind: str, seeds: int, steps: int) -> None:
    if kind == "homomorphic":
        pytest.importorskip("tenseal", reason="extra `he`")
    sums = 0
    for seed in range(seeds):
        weather = Weather(seed, {"kind": kind, **SLANTED})
        for _ in range(steps):
            weather.step()
        sums += weather.sums
    # enough of them to mean something
    assert sums > seeds
