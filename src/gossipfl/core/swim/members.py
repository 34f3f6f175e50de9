"""What a node knows of the others; never more of them than it is told to remember."""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from gossipfl.core.swim.standing import Standing
from gossipfl.core.swim.trips import UNKNOWN_S, Trips
from gossipfl.core.swim.words import Card


@dataclass(slots=True)
class Member:
    """One other node.

    Attributes:
        card: its newest.
        proven: it was heard by this node since it came, or since it was doubted last.
        changed: tick at which the standing became what it is.
        claims: it was down, and a newer card says that it is not: ask it.
        heard_at: time of its last word, or of one that came through a helper.
        asked: tick at which it was asked last.
        failures: own questions in a row that nobody answered.
        trips: to it; None: none yet.
        digest: of its view, as it told last.
    """

    card: Card
    standing: Standing
    changed: int
    proven: bool = False
    claims: bool = False
    heard_at: float = -math.inf
    asked: int = -1
    failures: int = 0
    trips: Trips | None = None
    digest: int | None = None

    @property
    def wait_s(self) -> float:
        """After which its answer is late."""
        return UNKNOWN_S if self.trips is None else self.trips.wait_s

    @property
    def is_urgent(self) -> bool:
        """Whether it is to be asked out of turn: nobody here knows how it is."""
        unsure = not self.proven or self.standing is Standing.DOUBTED
        return unsure if self.standing.takes_part else self.claims


class Members:
    """By name; at most so many."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._members: dict[str, Member] = {}
        self._digest = 0

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members.values())

    def __len__(self) -> int:
        return len(self._members)

    def get(self, name: str) -> Member | None:
        """A member, if it is known."""
        return self._members.get(name)

    def taking_part(self) -> list[str]:
        """Names of those that are up, doubted ones among them, in the order they came."""
        return [name for name, member in self._members.items() if member.standing.takes_part]

    def add(self, card: Card, tick: int) -> Member | None:
        """A newcomer; None: there is no room, since so many are up."""
        if len(self._members) >= self._most and not self._make_room():
            return None
        member = Member(card, Standing.LEFT if card.left else Standing.UP, tick)
        self._members[card.name] = member
        self._digest ^= _share(member)
        return member

    def move(self, member: Member, standing: Standing, tick: int) -> bool:
        """Gives a member another standing; whether it is another."""
        if member.standing is standing:
            return False
        self._digest ^= _share(member)
        member.standing, member.changed = standing, tick
        self._digest ^= _share(member)
        return True

    def renew(self, member: Member, card: Card) -> None:
        """Keeps a newer card."""
        self._digest ^= _share(member)
        member.card = card
        self._digest ^= _share(member)

    def forget(self, name: str) -> None:
        """As if it had never come."""
        member = self._members.pop(name, None)
        if member is not None:
            self._digest ^= _share(member)

    def digest(self, own: Card) -> int:
        """64 bits that are equal for equal views of who is up, and at which incarnation."""
        return self._digest ^ _hash(own)

    def _make_room(self) -> bool:
        gone = [(member.changed, name) for name, member in self._members.items() if not member.standing.takes_part]
        if gone:
            self.forget(min(gone)[1])
        return bool(gone)


def _share(member: Member) -> int:
    """A member's part in the digest; `^` takes it in and out."""
    return _hash(member.card) if member.standing.takes_part else 0


@lru_cache(maxsize=4096)
def _hash(card: Card) -> int:
    text = f"{card.name} {card.incarnation}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
