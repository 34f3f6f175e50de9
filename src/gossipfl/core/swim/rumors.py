"""News on its way: each piece is told some log n times, the newest first, then it is known."""

import heapq
import math
from dataclasses import dataclass

from gossipfl.core.swim.words import Card, Doubt

RETELLINGS = 3
"""λ: times ⌈log2(n + 1)⌉, which reaches all but n^(2 − 2λ) of n (Das, Gupta & Motivala 2002)."""


@dataclass(slots=True)
class _Rumor:
    piece: Card | Doubt
    told: int = 0


class Rumors:
    """At most one card and one doubt of a member."""

    def __init__(self) -> None:
        self._cards: dict[str, _Rumor] = {}
        self._doubts: dict[str, _Rumor] = {}

    def card(self, card: Card) -> None:
        """A card to be told; a doubt of an earlier incarnation is answered by it."""
        self._cards[card.name] = _Rumor(card)
        doubt = self._doubts.get(card.name)
        if doubt is not None and doubt.piece.incarnation < card.incarnation:
            self.settle(card.name)

    def doubt(self, doubt: Doubt) -> None:
        """A doubt to be told."""
        self._doubts[doubt.name] = _Rumor(doubt)

    def settle(self, name: str) -> None:
        """No doubt of a member any more."""
        self._doubts.pop(name, None)

    def forget(self, name: str) -> None:
        """Nothing of a member any more."""
        self._cards.pop(name, None)
        self._doubts.pop(name, None)

    def take(self, most: int, members: int) -> tuple[list[Card], list[Doubt]]:
        """What the next word tells: what was told least often."""
        limit = RETELLINGS * math.ceil(math.log2(members + 1))
        cards = [piece for piece in _take(self._cards, most, limit) if isinstance(piece, Card)]
        doubts = [piece for piece in _take(self._doubts, most, limit) if isinstance(piece, Doubt)]
        return cards, doubts


def _take(rumors: dict[str, _Rumor], most: int, limit: int) -> list[Card | Doubt]:
    # of those told equally often the older ones go first
    chosen = heapq.nsmallest(most, rumors.items(), key=lambda item: item[1].told)
    for name, rumor in chosen:
        rumor.told += 1
        if rumor.told >= limit:
            del rumors[name]
    return [rumor.piece for _, rumor in chosen]
