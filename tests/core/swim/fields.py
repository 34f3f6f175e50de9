"""Members in virtual time on a network that loses, delays and forges; every run is decided by its seed."""

import hashlib
import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gossipfl.core.swim import Card, Changed, Effect, Pace, Say, Seal, Standing, Swim, Word


def seal_of(name: str, *, revoked: set[str] | None = None) -> Seal:
    """Signatures that anybody could make, but that the tests' attackers do not."""
    out = set() if revoked is None else revoked

    def card(name: str, incarnation: int, left: bool) -> Card:  # noqa: FBT001  # as the seam has it
        return Card(name, f"{name}:1", incarnation, left, _signed(name, f"{incarnation} {left}".encode()))

    def believes(card: Card) -> bool:
        return card.name not in out and card.proof == _signed(card.name, f"{card.incarnation} {card.left}".encode())

    return Seal(
        lambda text: _signed(name, text), card, believes, lambda card, text, proof: proof == _signed(card.name, text)
    )


def _signed(name: str, text: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"|" + text).digest()


@dataclass
class Weather:
    """What the network does.

    Attributes:
        loss: part of the words that vanish.
        latency_s: mean of an exponential delay.
        severed: pairs between which nothing goes, either way.
    """

    loss: float = 0.0
    latency_s: float = 0.005
    severed: Callable[[str, str], bool] = lambda _a, _b: False


class Field:
    """Some members, each a machine of its own."""

    def __init__(self, seed: int, weather: Weather | None = None, pace: Pace | None = None) -> None:
        self.weather = weather or Weather()
        self.pace = pace or Pace()
        self.now = 0.0
        self.alive: dict[str, Swim] = {}
        self.words = 0
        self.largest = 0
        self.changes: list[tuple[float, str, Changed]] = []
        self.revoked: set[str] = set()
        self._rng = np.random.default_rng(seed)
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def start(self, name: str, *contacts: str, incarnation: int = 1) -> Swim:
        """A member begins now, knowing where some others are."""
        rng = np.random.default_rng([int(self._rng.integers(2**32)), len(self.alive)])
        machine = Swim(name, incarnation, self.pace, seal_of(name, revoked=self.revoked), rng)
        machine.meet({contact: f"{contact}:1" for contact in contacts})
        self.alive[name] = machine
        # nobody's clock ticks with another's
        self._at(float(self._rng.uniform(0, self.pace.tick_s)), lambda: self._wake(name, machine))
        return machine

    def kill(self, name: str) -> None:
        """Without a word."""
        del self.alive[name]

    def leave(self, name: str) -> None:
        """With one."""
        self.perform(name, self.alive[name].leave())
        self.kill(name)

    def run(self, ticks: float) -> "Field":
        """Lets so many ticks pass."""
        end = self.now + ticks * self.pace.tick_s
        while self._heap and self._heap[0][0] <= end:
            self.now, _, happening = heapq.heappop(self._heap)
            happening()
        self.now = end
        return self

    def ticks_until(self, condition: Callable[[], bool], most: int) -> int:
        """Ticks until it holds."""
        for tick in range(most):
            if condition():
                return tick
            self.run(1)
        raise AssertionError(f"not within {most} ticks")

    def agree(self) -> bool:
        """Whether everybody takes exactly those that are alive to be up."""
        everybody = tuple(sorted(self.alive))
        return all(machine.up == everybody for machine in self.alive.values())

    def believed_down(self, name: str) -> set[str]:
        """Who has ever taken a member to be down, up to now."""
        return {by for _, by, change in self.changes if change == Changed(name, Standing.DOWN)}

    def send(self, sender: str, to: str, word: Word) -> None:
        """A word on its way; a test's attacker says what it likes."""
        self.words += 1
        self.largest = max(self.largest, len(word.cards), len(word.doubts))
        if self._rng.random() >= self.weather.loss and not self.weather.severed(sender, to):
            delay_s = float(self._rng.exponential(self.weather.latency_s))
            self._at(delay_s, lambda: self._arrive(sender, to, word))

    def perform(self, name: str, effects: list[Effect]) -> None:
        """What a member does."""
        for effect in effects:
            match effect:
                case Say(to=to, address=address, word=word):
                    assert address == f"{to}:1"
                    self.send(name, to, word)
                case Changed():
                    self.changes.append((self.now, name, effect))

    def _arrive(self, sender: str, to: str, word: Word) -> None:
        machine = self.alive.get(to)
        if machine is not None and sender not in self.revoked:
            self.perform(to, machine.hear(sender, word, self.now))
            self._plan(to, machine)

    def _wake(self, name: str, machine: Swim) -> None:
        if self.alive.get(name) is machine:
            if machine.due <= self.now:
                self.perform(name, machine.wake(self.now))
            self._plan(name, machine)

    def _plan(self, name: str, machine: Swim) -> None:
        # a wake too many does nothing
        if (planned := self._planned.get(machine)) is None or planned > machine.due or planned <= self.now:
            self._planned[machine] = machine.due
            self._at(max(0.0, machine.due - self.now), lambda: self._wake(name, machine))

    @property
    def _planned(self) -> dict[Swim, float]:
        if not hasattr(self, "_plans"):
            self._plans: dict[Swim, float] = {}
        return self._plans

    def _at(self, delay_s: float, happening: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (self.now + delay_s, next(self._numbers), happening))


def members(count: int, seed: int = 0, weather: Weather | None = None, pace: Pace | None = None) -> Field:
    """Members that have just begun; all but the first know where the first is."""
    field = Field(seed, weather, pace)
    for place in range(count):
        field.start(f"m{place}", *(["m0"] if place else []))
    return field
