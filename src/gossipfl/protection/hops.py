"""One hop of a homomorphic sum: a sender adds its state to what the sender before made, and seals it for the next.

    E_v(W_v1 x_1) ── sealed for 2 ──> v ──> 2: E_v(W_v1 x_1 + W_v2 x_2) ── sealed for 3 ──> v ──> … ──> E_v(sum) ──> v

v relays and could decrypt what it relays, so hops travel in ChaCha20-Poly1305 under a key of the two senders for this
receiver and this round. A key seals one hop only. Source: RFC 8439.
"""

from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from gossipfl.core.events import Summed
from gossipfl.core.fixed_point import FixedPoint, Words
from gossipfl.core.messages import Header
from gossipfl.protection.agreement import Roster
from gossipfl.protection.ckks import SecretKey, add, encrypt
from gossipfl.protection.letters import HOP, SUM, Letter
from gossipfl.protection.pair_keys import derive, framed
from gossipfl.state import AdapterState

SEAL_BYTES = 16
_PURPOSE = b"gossipfl hop v1"
_NONCE = bytes(12)
"""A key seals one hop."""


@dataclass(frozen=True, slots=True)
class Place:
    """A sender's in the row of one receiver's senders.

    Attributes:
        before, after: its neighbors in the row; empty at the ends.
    """

    me: str
    receiver: str
    before: str
    after: str


def place_of(me: str, receiver: str, senders: tuple[str, ...]) -> Place:
    """By the senders in their order."""
    row = ("", *senders, "")
    number = row.index(me)
    return Place(me, receiver, row[number - 1], row[number + 1])


@dataclass(frozen=True, slots=True)
class Hopping:
    """All that one hop is made of.

    Attributes:
        words: own state, weighted.
        sealed: what the sender before made; empty at the beginning of the row.
    """

    place: Place
    ring: FixedPoint
    words: Words
    header: Header
    roster: Roster
    sealed: bytes

    def __call__(self) -> Letter | None:
        """The next hop, or the sum; None where what came is not what the sender before made."""
        place, roster, number = self.place, self.roster, self.header.round
        try:
            if self.sealed:
                so_far = _cipher(place.before, place.me, place.receiver, number, roster.secrets[place.before])
                opened = so_far.decrypt(_NONCE, self.sealed, roster.id)
                made = add(roster.context, opened, self.words, self.ring)
            else:
                made = encrypt(roster.context, self.words, self.ring)
        except (InvalidTag, ValueError):
            # the round has no sum, and its receiver skips it
            return None
        if not place.after:
            return Letter(SUM, place.receiver, made, self.header, roster.id)
        seal = _cipher(place.me, place.after, place.receiver, number, roster.secrets[place.after])
        return Letter(HOP, place.receiver, seal.encrypt(_NONCE, made, roster.id), self.header, roster.id)


@dataclass(frozen=True, slots=True)
class Opening:
    """All that a receiver reads a sum by.

    Attributes:
        mean: of what was decrypted; None where it is no mean of states within the bounds.
    """

    key: SecretKey
    ring: FixedPoint
    size: int
    ciphertexts: bytes
    round: int
    mean: Callable[[Words], AdapterState | None]

    def __call__(self) -> Summed[AdapterState]:
        """The sum."""
        try:
            words = self.key.decrypt(self.ciphertexts, self.size, self.ring)
        except ValueError:
            words = None
        return Summed(self.round, None if words is None else self.mean(words))


def _cipher(sender: str, to: str, receiver: str, round: int, secret: bytes) -> ChaCha20Poly1305:
    names = (receiver.encode(), round.to_bytes(8, "big"), sender.encode(), to.encode())
    return ChaCha20Poly1305(derive(secret, framed(_PURPOSE, *names)))
