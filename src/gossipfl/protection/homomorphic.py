"""homomorphic: senders add up under the receiver's key, one after the other, and it decrypts the sum only.

publish ──> word ──> receiver: Heard
        └─> first of the row: hop ──> receiver ──> next ──> … ──> last: sum ──> receiver: Summed        see `hops`
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from gossipfl.core.events import Heard, Send, Summed
from gossipfl.core.fixed_point import Words
from gossipfl.core.messages import Header
from gossipfl.protection.agreement import Agreement, Draw, Roster
from gossipfl.protection.ckks import CONTEXT_BYTES, SecretKey, most_bytes
from gossipfl.protection.collecting import mean_of
from gossipfl.protection.hops import SEAL_BYTES, Hopping, Opening, Place, place_of
from gossipfl.protection.letters import HOP, OFFER, RELAY, ROSTER, SUM, WORD, Job, Letter, Taken
from gossipfl.protection.offers import OFFER_BYTES
from gossipfl.protection.terms import Terms
from gossipfl.protection.turns import Turn, Turns
from gossipfl.protection.vouching import Voucher
from gossipfl.state import AdapterState

_KEPT = 3
"""Rounds of which own states, or hops, are kept until the other comes, and sums until they are opened."""
T = TypeVar("T")
_IN, _OUT = b"\1", b"\0"
"""What a word says: the sender is in the sum, or sits it out."""


class Homomorphic:
    """One node's guard; see `letters.Guard`."""

    def __init__(self, terms: Terms, voucher: Voucher, draw: Draw) -> None:
        self._terms = terms
        self._key = SecretKey()
        self._agreement = Agreement(terms, voucher, draw, self._key.public)
        self._turns = Turns()
        self._made: dict[str, list[Letter]] = {}
        self._own: dict[str, dict[int, tuple[Words, Header]]] = {}
        self._held: dict[str, dict[int, Letter]] = {}
        self._sums: dict[int, bytes] = {}
        self._opened: set[int] = set()

    @property
    def sizes(self) -> Mapping[str, range]:
        """See `letters.Guard`."""
        most = most_bytes(self._terms.spec.size)
        return {
            OFFER: range(1, OFFER_BYTES),
            ROSTER: range(1, OFFER_BYTES * (self._terms.most_senders + 1) + CONTEXT_BYTES),
            WORD: range(1, 2),
            HOP: range(1, most + SEAL_BYTES + 1),
            RELAY: range(1, most + SEAL_BYTES + 1),
            SUM: range(1, most + 1),
        }

    def up(self, name: str) -> Sequence[Letter]:
        """See `letters.Guard`."""
        return self._agreement.up(name)

    def publish(self, send: Send[AdapterState]) -> Sequence[Job[AdapterState]]:
        """See `letters.Guard`."""
        roster = self._agreement.roster(send.receiver)
        match self._turns.of(send, agreed=roster is not None):
            case Turn.REPEAT:
                return [partial(_itself, letter) for letter in self._again(send)]
            case Turn.MAKE if roster is not None:
                return self._contribute(send, roster)
            case _:
                return []

    def take(self, sender: str, letter: Letter, present: int) -> Taken[AdapterState]:
        """See `letters.Guard`."""
        match letter.kind:
            case "word":
                return Taken(events=[Heard(sender, letter.header, contributes=bytes(letter.content) == _IN)])
            case "hop":
                return Taken(self._relay(sender, letter))
            case "relay":
                return Taken(jobs=self._take_hop(sender, letter))
            case "sum":
                return Taken(jobs=self._open(sender, letter, present))
            case _:
                return self._agreement.take(sender, letter, self._resume)

    def _resume(self, receiver: str) -> Sequence[Job[AdapterState]]:
        return [job for send in self._turns.waiting(receiver) for job in self.publish(send)]

    # ---- as a sender ----

    def _contribute(self, send: Send[AdapterState], roster: Roster) -> Sequence[Job[AdapterState]]:
        receiver, header, terms = send.receiver, send.header, self._terms
        words = terms.ring.encode(send.packet.seen.vector, terms.weights(receiver)[terms.me])
        self._made[receiver] = [Letter(WORD, receiver, _OUT if words is None else _IN, header, roster.id)]
        jobs: list[Job[AdapterState]] = [partial(_itself, self._made[receiver][0])]
        if words is None:
            return jobs
        _keep(self._own.setdefault(receiver, {}), header.round, (words, header))
        place = self._place(receiver)
        held = self._held.get(receiver, {}).pop(header.round, None)
        if not place.before:
            return [*jobs, *self._hop(receiver, header.round, roster, b"")]
        return [*jobs, *(self._hop(receiver, header.round, roster, bytes(held.content)) if held else [])]

    def _place(self, receiver: str) -> Place:
        """Where this node stands in a receiver's row."""
        return place_of(self._terms.me, receiver, tuple(sorted(self._terms.weights(receiver))))

    def _again(self, send: Send[AdapterState]) -> Sequence[Letter]:
        made = self._made[send.receiver]
        if made[0].header == send.header:
            return tuple(made)
        # the sender has more to say of itself, what it made is there
        return [replace(made[0], header=send.header)]

    def _take_hop(self, receiver: str, letter: Letter) -> Sequence[Job[AdapterState]]:
        """What the sender before made, as the receiver relays it."""
        roster, number = self._agreement.roster(receiver), letter.header.round
        place = self._place(receiver)
        if roster is None or roster.id != letter.roster or not place.before:
            return []
        if number in self._own.get(receiver, {}):
            return self._hop(receiver, number, roster, bytes(letter.content))
        _keep(self._held.setdefault(receiver, {}), number, letter)
        return []

    def _hop(self, receiver: str, number: int, roster: Roster, sealed: bytes) -> Sequence[Job[AdapterState]]:
        # once: a second hop of a round is nobody's who means well
        words, header = self._own[receiver].pop(number)
        terms = self._terms
        place = self._place(receiver)
        hopping = Hopping(place, terms.ring, words, header, roster, sealed)
        return [partial(self._note, hopping, self._made[receiver])]

    def _note(self, hopping: Hopping, made: list[Letter]) -> Letter | None:
        letter = hopping()
        if letter is not None and made[0].header.round == letter.header.round:
            made.append(letter)
        return letter

    # ---- as a receiver ----

    def _relay(self, sender: str, letter: Letter) -> Sequence[Letter]:
        row = (*self._terms.senders, "")
        to = row[row.index(sender) + 1] if sender in row else ""
        return [Letter(RELAY, to, letter.content, letter.header, letter.roster)] if to else []

    def _open(self, sender: str, letter: Letter, present: int) -> Sequence[Job[AdapterState]]:
        number = letter.header.round
        self._opened = {each for each in self._opened if each >= present}
        if sender != self._terms.senders[-1] or number < present or number in self._opened:
            return []
        self._opened.add(number)
        # not with the job: one that sends quicker than this node decrypts would fill its memory
        _keep(self._sums, number, bytes(letter.content))
        return [partial(self._decrypt, number)]

    def _decrypt(self, number: int) -> Summed[AdapterState] | None:
        content, terms = self._sums.pop(number, None), self._terms
        if content is None:
            return None
        return Opening(self._key, terms.ring, terms.spec.size, content, number, partial(mean_of, terms))()


def _itself(letter: Letter) -> Letter:
    return letter


def _keep(kept: dict[int, T], number: int, value: T) -> None:
    """One more; of many the newest."""
    kept[number] = value
    for each in sorted(kept)[:-_KEPT]:
        # gone where a job was quicker
        kept.pop(each, None)
