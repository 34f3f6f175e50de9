"""One node's part: a state machine. Words and time come in, words and changes go out.

A member is down for this node when, since it was doubted, ⌈log2(n + 1)⌉ + 3 ticks have passed, and at least 3 of this
node's own questions in a row were answered neither by it nor, signed, through anybody. What others say of it only makes
this node ask. So nobody is talked dead, and nobody who is dead is talked alive.

Bounds, with ticks of equal length, no loss and few others doubted: each node asks each member within 2(n − 1) ticks by
itself; so a dead one is down everywhere after 2(n − 1) + ⌈log2(n + 1)⌉ + 5 ticks at the latest. As a rule somebody asks
it within two ticks, and doubts travel by doubling.
"""

import math
from collections import Counter
from collections.abc import Mapping

import numpy as np

from gossipfl.core.swim.members import Member, Members
from gossipfl.core.swim.news import News
from gossipfl.core.swim.questions import Question, Questions
from gossipfl.core.swim.standing import Standing
from gossipfl.core.swim.trips import UNKNOWN_S, Trips, typical_wait_s
from gossipfl.core.swim.turns import Turns
from gossipfl.core.swim.words import Card, Changed, Effect, Kind, Pace, Say, Seal, Word, answer_text

PATIENCE = 3
"""Ticks beyond ⌈log2(n + 1)⌉, and own questions, before a doubted member is down."""
MOST_WORDS = 64
"""Of one sender in a tick; what is more is dropped."""
_CLOCK_S = 1e-3
"""A timer may come this much early."""


class Swim:
    """Membership as one node sees it.

    Args:
        name: this node.
        incarnation: higher than in any life before that it knows of.
        seal: signatures; `seal.card` gives its own card.
        rng: of whom to ask.

    Guarantees:
        `hear` and `wake` never raise for what a peer said, and what they remember is bounded by `pace.most_members`.
    """

    def __init__(self, name: str, incarnation: int, pace: Pace, seal: Seal, rng: np.random.Generator) -> None:
        self.name = name
        self._pace = pace
        self._seal = seal
        self._members = Members(pace.most_members)
        self._news = News(name, incarnation, self._members, seal)
        self._questions = Questions()
        self._contacts: dict[str, str] = {}
        self._turns = Turns(self._members, rng)
        self._words: Counter[str] = Counter()
        self._tick = 0
        self._tick_at = -math.inf

    # ---- what is known ----

    @property
    def up(self) -> tuple[str, ...]:
        """Everybody that takes part, this node among them, sorted: equal at nodes whose views agree."""
        own = () if self.card.left else (self.name,)
        return tuple(sorted((*own, *self._members.taking_part())))

    @property
    def card(self) -> Card:
        """This node's own."""
        return self._news.own

    def member(self, name: str) -> Member | None:
        """What is known of another; not to be changed."""
        return self._members.get(name)

    @property
    def known(self) -> int:
        """Others that are remembered, up or not."""
        return len(self._members)

    @property
    def refused(self) -> int:
        """Cards that were not what they claimed to be."""
        return self._news.refused

    @property
    def suspicion_ticks(self) -> int:
        """Ticks from a doubt to a verdict."""
        return math.ceil(math.log2(len(self._members) + 2)) + PATIENCE

    @property
    def due(self) -> float:
        """When `wake` is to be called next."""
        question_at = self._questions.next_at()
        return self._tick_at if question_at is None else min(self._tick_at, question_at)

    # ---- events ----

    def meet(self, contacts: Mapping[str, str]) -> None:
        """Names and addresses to begin with, and to go back to when nobody else is up."""
        self._contacts = {name: address for name, address in contacts.items() if name != self.name}

    def wake(self, now: float) -> list[Effect]:
        """Time has come; call it at `due`."""
        asleep_s = now - self.due
        if math.isfinite(asleep_s) and asleep_s > self._pace.tick_s / 2:
            # answers came while nobody was there to hear them
            self._questions.delay(asleep_s)
        effects: list[Effect] = []
        for name, question in self._questions.late(now):
            effects += self._ask_helpers(name, question.number)
        for name, question in self._questions.lost(now):
            effects += self._unanswered(name, question)
        if now >= self._tick_at - _CLOCK_S:
            effects += self._next_tick(now)
        return effects

    def hear(self, sender: str, word: Word, now: float) -> list[Effect]:
        """A word of a sender that the network has made sure of; nothing else in it is sure."""
        if not self._admits(sender):
            return []
        refused = self.refused
        effects = self._news.take(word, self._tick)
        self._words[sender] += self.refused - refused
        member = self._members.get(sender)
        if member is None:
            return effects
        member.digest = word.digest
        if member.standing is not Standing.LEFT:
            effects += self._alive(member, now)
        return effects + self._respond(member, word, now)

    def _respond(self, member: Member, word: Word, now: float) -> list[Effect]:
        match word.kind:
            case Kind.PING:
                # who took leave, too: it may be back, and not know what it said when it went
                return self._answer(member, word)
            case Kind.ASK:
                return self._help(member.card.name, word)
            case Kind.ACK:
                return self._pass_on(member, word) if word.about else self._heard(member, word.number, now)
            case Kind.PASS:
                return self._heard_of(word, now)
            case Kind.NEWS:
                return []

    def leave(self) -> list[Effect]:
        """Says farewell to as many as news go to at once; the others hear it from them."""
        self._news.rise(self.card.incarnation, left=True)
        names = self._members.taking_part()
        chosen = self._turns.some(names, 8 * math.ceil(math.log2(len(names) + 2)))
        return [self._say(name, Kind.NEWS, 0) for name in chosen]

    def sift(self) -> list[Effect]:
        """Forgets whoever is not believed any more; to be called when certificates were revoked."""
        gone = [member.card.name for member in self._members if not self._seal.believes(member.card)]
        for name in gone:
            self._members.forget(name)
            self._news.forget(name)
            self._questions.settle(name)
        return [Changed(name, Standing.DOWN) for name in gone]

    def _admits(self, sender: str) -> bool:
        """Whether a sender may say something more in this tick; if so it counts."""
        known = sender in self._words or len(self._words) < self._pace.most_members
        if sender == self.name or not known or self._words[sender] >= MOST_WORDS:
            return False
        self._words[sender] += 1
        return True

    # ---- a tick ----

    def _next_tick(self, now: float) -> list[Effect]:
        self._tick += 1
        self._words.clear()
        self._news.begin()
        effects = self._judge()
        typical_s = typical_wait_s(member.trips for member in self._members if member.trips is not None)
        self._tick_at = now + max(self._pace.tick_s, typical_s)
        targets = self._turns.targets(self._tick, list(self._contacts))
        return [*effects, *(self._ping(name, now) for name in targets)]

    def _judge(self) -> list[Effect]:
        """Those that have been doubted for long enough, and asked often enough, are down."""
        effects: list[Effect] = []
        for member in self._members:
            if member.standing is not Standing.DOUBTED or member.failures < PATIENCE:
                continue
            if self._tick - member.changed >= self.suspicion_ticks:
                self._members.move(member, Standing.DOWN, self._tick)
                effects.append(Changed(member.card.name, Standing.DOWN))
        return effects

    # ---- asking ----

    def _ping(self, name: str, now: float) -> Effect:
        member = self._members.get(name)
        wait_s = UNKNOWN_S if member is None else member.wait_s
        # nothing is gained by judging much faster than the asking goes
        number = self._questions.ask(name, now, max(wait_s, self._pace.tick_s / 4))
        if member is not None:
            member.asked, member.claims = self._tick, False
        return self._say(name, Kind.PING, number)

    def _ask_helpers(self, name: str, number: int) -> list[Effect]:
        if name not in self._members:
            return []
        others = [other for other in self._members.taking_part() if other != name]
        return [self._say(each, Kind.ASK, number, name) for each in self._turns.some(others, self._pace.helpers)]

    def _unanswered(self, name: str, question: Question) -> list[Effect]:
        member = self._members.get(name)
        if member is None:
            self._questions.settle(name)
            return []
        if not member.standing.takes_part or member.heard_at >= question.asked_at:
            return []
        member.failures += 1
        member.proven = False
        self._news.fear(member)
        moved = self._members.move(member, Standing.DOUBTED, self._tick)
        return [Changed(name, Standing.DOUBTED)] if moved else []

    # ---- answering ----

    def _answer(self, member: Member, word: Word) -> list[Effect]:
        proof = self._seal.sign(answer_text(self.name, word.about, word.number)) if word.about else b""
        return [self._say(member.card.name, Kind.ACK, word.number, word.about, proof)]

    def _help(self, sender: str, word: Word) -> list[Effect]:
        member = self._members.get(word.about)
        if member is None or not member.standing.takes_part:
            return []
        return [self._say(word.about, Kind.PING, word.number, sender)]

    def _pass_on(self, member: Member, word: Word) -> list[Effect]:
        asker = self._members.get(word.about)
        if asker is None or not asker.standing.takes_part:
            return []
        return [self._say(word.about, Kind.PASS, word.number, member.card.name, word.proof)]

    # ---- hearing ----

    def _heard(self, member: Member, number: int, now: float) -> list[Effect]:
        question = self._questions.answer(member.card.name, number)
        if question is not None and not question.delayed_s:
            trip_s = max(0.0, now - question.asked_at)
            member.trips = Trips.first(trip_s) if member.trips is None else member.trips.after(trip_s)
        return []

    def _heard_of(self, word: Word, now: float) -> list[Effect]:
        """An answer that came through a helper, who could have made it up: it is signed."""
        member = self._members.get(word.about)
        if member is None or member.standing is Standing.LEFT or not self._questions.is_asked(word.about):
            return []
        text = answer_text(word.about, self.name, word.number)
        if not self._seal.vouches(member.card, text, word.proof) or not self._questions.answer(word.about, word.number):
            return []
        return self._alive(member, now)

    def _alive(self, member: Member, now: float) -> list[Effect]:
        """A sign of life, its own."""
        member.proven, member.claims, member.failures, member.heard_at = True, False, 0, now
        self._news.settle(member.card.name)
        moved = self._members.move(member, Standing.UP, self._tick)
        return [Changed(member.card.name, Standing.UP)] if moved else []

    def _say(self, to: str, kind: Kind, number: int, about: str = "", proof: bytes = b"") -> Say:
        member = self._members.get(to)
        address = self._contacts.get(to, "") if member is None else member.card.address
        cards, doubts = self._news.told(to)
        return Say(to, address, Word(kind, number, about, proof, self._members.digest(self.card), cards, doubts))
