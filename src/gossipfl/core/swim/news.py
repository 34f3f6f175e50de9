"""What is told and what is believed: cards by their signatures, doubts only as a reason to ask."""

from gossipfl.core.swim.members import Member, Members
from gossipfl.core.swim.rumors import Rumors
from gossipfl.core.swim.standing import Standing
from gossipfl.core.swim.words import LAST_INCARNATION, MOST_NEWS, Card, Changed, Doubt, Effect, Seal, Word

FRESH = 8
"""Rumors in a word between two whose views agree."""


class News:
    """A node's card, and what it takes from others' words.

    Attributes:
        own: this node's card.
        refused: cards that were not what they claim to be.
    """

    def __init__(self, name: str, incarnation: int, members: Members, seal: Seal) -> None:
        self._members = members
        self._seal = seal
        self._rumors = Rumors()
        self._place = 0
        self._rose = False
        self.own = seal.card(name, incarnation, False)
        self.refused = 0

    # ---- out ----

    def told(self, to: str) -> tuple[tuple[Card, ...], tuple[Doubt, ...]]:
        """News for a member: rumors, and where its view is another, or unknown, more of all there is."""
        member = self._members.get(to)
        cards, doubts = self._rumors.take(FRESH, len(self._members) + 1)
        if member is not None and member.standing is not Standing.UP:
            # it may be well, and not know what is said of it, or what it said itself in an earlier life
            doubts.append(Doubt(to, member.card.incarnation))
            cards.append(member.card)
        if member is None or member.digest != self._members.digest(self.own):
            cards += self._more(MOST_NEWS - 1 - len(cards), {card.name for card in cards} | {to, self.own.name})
            cards.append(self.own)
        return tuple(cards), tuple(doubts[-MOST_NEWS:])

    def _more(self, room: int, without: set[str]) -> list[Card]:
        """The next cards of those that are up or took leave, in turn."""
        told = [member.card for member in self._members if member.standing is not Standing.DOWN]
        others = [card for card in told if card.name not in without]
        if not others:
            return []
        start = self._place % len(others)
        chosen = (others[start:] + others[:start])[:room]
        self._place = start + len(chosen)
        return chosen

    def fear(self, member: Member) -> None:
        """Tells others that a member does not answer."""
        self._rumors.doubt(Doubt(member.card.name, member.card.incarnation))

    def settle(self, name: str) -> None:
        """No longer."""
        self._rumors.settle(name)

    def forget(self, name: str) -> None:
        """Tells nothing of a member any more."""
        self._rumors.forget(name)

    def rise(self, above: int, *, left: bool = False) -> None:
        """A new card of one's own, with a higher incarnation."""
        self.own = self._seal.card(self.own.name, above + 1, left)
        self._rumors.card(self.own)

    # ---- in ----

    def begin(self) -> None:
        """Another tick."""
        self._rose = False

    def take(self, word: Word, tick: int) -> list[Effect]:
        """What a word's news change."""
        effects: list[Effect] = []
        for card in word.cards[:MOST_NEWS]:
            if not self._is_news(card):
                continue
            if self._seal.believes(card):
                effects += self._believe(card, tick)
            else:
                self.refused += 1
        for doubt in word.doubts[:MOST_NEWS]:
            effects += self._wonder(doubt, tick)
        return effects

    def _is_news(self, card: Card) -> bool:
        """Whether it is newer than what is known; cheap, before its signature is looked at."""
        known = self.own if card.name == self.own.name else None
        member = self._members.get(card.name)
        if known is None and member is not None:
            known = member.card
        return 0 <= card.incarnation < LAST_INCARNATION and (known is None or card.incarnation > known.incarnation)

    def _believe(self, card: Card, tick: int) -> list[Effect]:
        if card.name == self.own.name:
            # of an earlier life that this one knows nothing of
            self.rise(card.incarnation, left=self.own.left)
            return []
        member = self._members.get(card.name)
        if member is None:
            member = self._members.add(card, tick)
            if member is None:
                return []
            self._rumors.card(card)
            return [Changed(card.name, member.standing)]
        self._members.renew(member, card)
        self._rumors.card(card)
        return self._moved(member, tick)

    def _moved(self, member: Member, tick: int) -> list[Effect]:
        """A newer card says whether a member left or came back; that it is up is for its answers to say."""
        was, standing = member.standing, member.standing
        if member.card.left:
            standing = Standing.LEFT
        elif was is Standing.LEFT:
            standing, member.proven = Standing.UP, False
        member.claims = standing is Standing.DOWN
        return [Changed(member.card.name, standing)] if self._members.move(member, standing, tick) else []

    def _wonder(self, doubt: Doubt, tick: int) -> list[Effect]:
        """Somebody has not heard a member: ask it oneself. It is told on by those only who were not answered either."""
        if doubt.name == self.own.name:
            # once a tick: who doubts without end makes nobody count without end
            if doubt.incarnation == self.own.incarnation and not self._rose:
                self._rose = True
                self.rise(doubt.incarnation, left=self.own.left)
            return []
        member = self._members.get(doubt.name)
        if member is None or member.standing is not Standing.UP or doubt.incarnation != member.card.incarnation:
            return []
        member.failures = 0
        self._members.move(member, Standing.DOUBTED, tick)
        return [Changed(doubt.name, Standing.DOUBTED)]
