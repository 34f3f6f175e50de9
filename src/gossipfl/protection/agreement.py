"""Key agreement among the senders of each receiver, who need not be neighbors: the receiver relays.

    sender j ── offer ──> receiver v ── roster: all offers, once they are there ──> every sender
    sender j: X25519 with each other sender's key ──> secrets of v's sums

Keys last for a life of their node. A sender that was restarted offers a new one, and everybody gets a new roster.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from gossipfl.errors import MessageError
from gossipfl.protection.letters import OFFER, ROSTER, Job, Letter, Taken
from gossipfl.protection.offers import (
    Offer,
    RosterLetter,
    is_genuine,
    is_genuine_context,
    make_context,
    make_offer,
    read_offer,
    read_roster,
    write_offer,
    write_roster,
)
from gossipfl.protection.pair_keys import KEY_BYTES, KeyPair
from gossipfl.protection.terms import Terms
from gossipfl.protection.vouching import Voucher
from gossipfl.state import AdapterState

Draw = Callable[[str, int], bytes]
"""Secret bytes for a receiver's key, so many: the operating system's, or of a seed in simulations."""


@dataclass(frozen=True, slots=True)
class Roster:
    """What a sender shares with the others of one receiver.

    Attributes:
        id: of all their keys.
        secrets: by name; left out of the representation.
        context: the receiver's, to encrypt with; empty where nothing is encrypted.
    """

    id: bytes
    secrets: Mapping[str, bytes] = field(repr=False)
    context: bytes = field(default=b"", repr=False)


class Agreement:
    """One node's keys, as a sender and as a receiver.

    Args:
        context: own public one, where receivers have keys to encrypt with.
    """

    def __init__(self, terms: Terms, voucher: Voucher, draw: Draw, context: bytes = b"") -> None:
        self._terms = terms
        self._voucher = voucher
        self._keys = {name: KeyPair.of(draw(name, KEY_BYTES)) for name in sorted(terms.receivers)}
        self._rosters: dict[str, Roster] = {}
        self._offers: dict[str, Offer] = {}
        self._context = make_context(terms, voucher, context)

    def roster(self, receiver: str) -> Roster | None:
        """Secrets of a receiver's sums; None while not all senders' keys are known."""
        return self._rosters.get(receiver)

    def up(self, name: str) -> list[Letter]:
        """This node's key for a receiver whose link is open; none while its certificate is not known."""
        if name not in self._keys or not self._voucher.fingerprint(name):
            return []
        offer = make_offer(self._terms, self._voucher, name, self._keys[name].public)
        return [Letter(OFFER, name, write_offer(offer))]

    def take(
        self, sender: str, letter: Letter, resume: Callable[[str], Sequence[Job[AdapterState]]]
    ) -> Taken[AdapterState]:
        """What follows from a letter about keys.

        Args:
            resume: makes what has waited for a receiver's keys.

        Raises:
            MessageError: reason keys; protection where it is about nothing that is known.
        """
        match letter.kind:
            case "offer":
                return Taken(self.take_offer(sender, letter))
            case "roster":
                self.take_roster(sender, letter)
                return Taken(jobs=resume(sender))
            case kind:
                raise MessageError(f"{sender!r} sent a {kind[:16]!r}", peer=sender, reason="protection")

    def take_offer(self, sender: str, letter: Letter) -> list[Letter]:
        """Keeps a sender's key for this node's sums; what the senders are to know now."""
        try:
            offer = read_offer(letter.content)
        except ValueError as error:
            raise _refused(sender, str(error)) from error
        named = (offer.sender, offer.receiver) == (sender, self._terms.me)
        if not named or sender not in self._terms.senders or not is_genuine(offer, self._terms, self._voucher):
            raise _refused(sender, "a key that it did not sign for this node's sums")
        known, self._offers[sender] = self._offers.get(sender), offer
        if len(self._offers) < len(self._terms.senders):
            return []
        # who offers the same key again has a new link: it may have missed the roster
        told = (sender,) if known == offer else self._terms.senders
        content = write_roster(RosterLetter([self._offers[name] for name in self._terms.senders], self._context))
        return [Letter(ROSTER, name, content) for name in told]

    def take_roster(self, receiver: str, letter: Letter) -> None:
        """Agrees with all other senders of a receiver.

        Raises:
            MessageError: reason keys: somebody is missing, or a key is not its owner's for these sums.
        """
        try:
            roster = read_roster(letter.content)
        except ValueError as error:
            raise _refused(receiver, str(error)) from error
        if receiver in self._rosters and self._rosters[receiver].id == roster.id:
            return
        self._check_roster(receiver, roster)
        own = self._keys[receiver]
        if own.public not in {offer.key for offer in roster.offers if offer.sender == self._terms.me}:
            # of an earlier life: a newer one is on its way
            return
        try:
            secrets = {each.sender: own.agree(each.key) for each in roster.offers if each.sender != self._terms.me}
        except ValueError as error:
            raise _refused(receiver, "a key that agrees on no secret") from error
        self._rosters[receiver] = Roster(roster.id, secrets, roster.context.data)

    def _check_roster(self, receiver: str, roster: RosterLetter) -> None:
        if receiver not in self._keys:
            raise _refused(receiver, "keys for sums that this node is not in")
        names = [offer.sender for offer in roster.offers]
        if sorted(names) != sorted(self._terms.weights(receiver)):
            raise _refused(receiver, "the keys of other senders than the topology gives it")
        for offer in roster.offers:
            if offer.receiver != receiver or not is_genuine(offer, self._terms, self._voucher):
                raise _refused(receiver, f"a key that {offer.sender[:63]!r} did not sign for its sums")
        if bool(roster.context.data) != bool(self._context.data):
            raise _refused(receiver, "a context to encrypt with where there is none, or none where there is one")
        if self._context.data and not is_genuine_context(receiver, roster.context, self._terms, self._voucher):
            raise _refused(receiver, "a context that it did not sign for these sums")


def _refused(peer: str, what: str) -> MessageError:
    return MessageError(f"{peer!r} sent {what}", peer=peer, reason="keys")
