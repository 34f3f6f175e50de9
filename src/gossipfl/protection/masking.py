"""masked: a receiver gets shares that are noise one by one, and adds them up.

    publish ──> fixed point · weight, masks ──> share ──> receiver: Σ shares ──> Summed        see `masks`

A sender makes one share a round and receiver, and sends that again where it is asked to; see `turns`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from gossipfl.core.events import Heard, Send
from gossipfl.core.fixed_point import FixedPoint
from gossipfl.core.messages import Header
from gossipfl.protection.agreement import Agreement, Draw, Roster
from gossipfl.protection.collecting import Totals
from gossipfl.protection.letters import OFFER, ROSTER, SHARE, WORD, Job, Letter, Taken
from gossipfl.protection.masks import mask, stream_keys
from gossipfl.protection.offers import OFFER_BYTES
from gossipfl.protection.terms import Terms
from gossipfl.protection.turns import Turn, Turns
from gossipfl.protection.vouching import Voucher
from gossipfl.state import AdapterState, Float32Vector

_NO_SHARE = b"\0"


@dataclass(frozen=True, slots=True)
class Sealing:
    """All that one share is made of.

    Attributes:
        weight: with which the receiver mixes it.
        values: what is published.
    """

    me: str
    receiver: str
    ring: FixedPoint
    weight: float
    values: Float32Vector
    header: Header
    roster: Roster

    def share(self) -> Letter:
        """The share; the word that there is none where a value is beyond the bound."""
        words = self.ring.encode(self.values, self.weight)
        if words is None:
            return Letter(WORD, self.receiver, _NO_SHARE, self.header, self.roster.id)
        mask(words, stream_keys(self.me, self.receiver, self.header.round, self.roster.secrets))
        return Letter(SHARE, self.receiver, words.view(np.uint8), self.header, self.roster.id)


class Masking:
    """One node's guard; see `letters.Guard`."""

    def __init__(self, terms: Terms, voucher: Voucher, draw: Draw) -> None:
        self._terms = terms
        self._agreement = Agreement(terms, voucher, draw)
        self._totals = Totals(terms)
        self._turns = Turns()
        self._made: dict[str, Letter] = {}

    @property
    def sizes(self) -> Mapping[str, range]:
        """See `letters.Guard`."""
        share, most = self._terms.ring.words.itemsize * self._terms.spec.size, OFFER_BYTES * self._terms.most_senders
        return {
            OFFER: range(1, OFFER_BYTES),
            ROSTER: range(1, most),
            SHARE: range(share, share + 1),
            WORD: range(1, 2),
        }

    def up(self, name: str) -> Sequence[Letter]:
        """See `letters.Guard`."""
        return self._agreement.up(name)

    def publish(self, send: Send[AdapterState]) -> Sequence[Job[AdapterState]]:
        """See `letters.Guard`."""
        roster = self._agreement.roster(send.receiver)
        match self._turns.of(send, agreed=roster is not None):
            case Turn.REPEAT:
                return [partial(self._again, send)]
            case Turn.MAKE if roster is not None:
                return [partial(self._make, self._sealing(send, roster))]
            case _:
                return []

    def take(self, sender: str, letter: Letter, present: int) -> Taken[AdapterState]:
        """See `letters.Guard`."""
        match letter.kind:
            case "share":
                share = np.frombuffer(letter.content, self._terms.ring.words)
                summed = self._totals.add(sender, letter.header.round, letter.roster, share, present)
                return Taken(events=[Heard(sender, letter.header), *summed])
            case "word":
                return Taken(events=[Heard(sender, letter.header, contributes=False)])
            case _:
                return self._agreement.take(sender, letter, self._resume)

    def _resume(self, receiver: str) -> Sequence[Job[AdapterState]]:
        return [job for send in self._turns.waiting(receiver) for job in self.publish(send)]

    def _sealing(self, send: Send[AdapterState], roster: Roster) -> Sealing:
        terms, receiver = self._terms, send.receiver
        weight = terms.weights(receiver)[terms.me]
        return Sealing(terms.me, receiver, terms.ring, weight, send.packet.seen.vector, send.header, roster)

    def _again(self, send: Send[AdapterState]) -> Letter:
        made = self._made[send.receiver]
        if made.header == send.header:
            return made
        # the sender has more to say of itself, the share is there
        return Letter(WORD, send.receiver, _NO_SHARE, send.header, made.roster)

    def _make(self, sealing: Sealing) -> Letter:
        self._made[sealing.receiver] = letter = sealing.share()
        return letter
