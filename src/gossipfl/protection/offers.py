"""A public key for one receiver's sums, signed for it, and how it travels.

    statement = purpose, experiment, receiver and its certificate, all its senders, who offers, key

The receiver relays the keys of its senders to each other. It can neither stand between them, since each key is signed
by its owner, nor show a key made for another receiver, another experiment, or a smaller set of senders.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from google.protobuf.message import DecodeError

from gossipfl.protection.letters import Content
from gossipfl.protection.pair_keys import KEY_BYTES, framed
from gossipfl.protection.terms import Terms
from gossipfl.protection.vouching import Voucher
from gossipfl.v1 import gossip_pb2 as pb

OFFER_BYTES = 8192
"""An offer at most: a key, a signature, and a certificate, which may come with its chain."""
_PURPOSE = b"gossipfl sum key v1"
_CONTEXT_PURPOSE = b"gossipfl sum context v1"


@dataclass(frozen=True, slots=True)
class Offer:
    """A sender's public key for the sums of one receiver, in one life of the sender.

    Attributes:
        sender, receiver: names.
        key: X25519.
        signature: of the statement.
        certificate: the sender's, PEM: it may be no neighbor of those who verify.
    """

    sender: str
    receiver: str
    key: bytes
    signature: bytes
    certificate: bytes


@dataclass(frozen=True, slots=True)
class Context:
    """A receiver's public key for encryption, in one life of the receiver.

    Attributes:
        data: as `ckks` writes it; empty where nothing is encrypted.
        signature: of a statement on it.
        certificate: the receiver's, PEM.
    """

    data: bytes = b""
    signature: bytes = b""
    certificate: bytes = b""


@dataclass(frozen=True, slots=True)
class RosterLetter:
    """All that a receiver tells its senders."""

    offers: Sequence[Offer]
    context: Context = Context()

    @property
    def id(self) -> bytes:
        """Hash of all keys: shares made under one roster belong together."""
        pairs = sorted((offer.sender.encode(), offer.key) for offer in self.offers)
        return sha256(framed(self.context.data, *(framed(*pair) for pair in pairs))).digest()


def make_offer(terms: Terms, voucher: Voucher, receiver: str, key: bytes) -> Offer:
    """Own, signed."""
    unsigned = Offer(terms.me, receiver, key, b"", voucher.certificate)
    signature = voucher.sign(statement(unsigned, terms, voucher))
    return Offer(terms.me, receiver, key, signature, voucher.certificate)


def is_genuine(offer: Offer, terms: Terms, voucher: Voucher) -> bool:
    """Whether the sender made it for this receiver, this experiment and this set of senders.

    Never where the receiver's certificate is not known: a key for anybody of its name is bound to nobody.
    """
    said, known = statement(offer, terms, voucher), bool(voucher.fingerprint(offer.receiver))
    if not known or len(offer.key) != KEY_BYTES:
        return False
    return voucher.believes(offer.sender, offer.certificate, offer.signature, said)


def make_context(terms: Terms, voucher: Voucher, data: bytes) -> Context:
    """Own, signed; none of no data."""
    if not data:
        return Context()
    signature = voucher.sign(_context_statement(terms.me, data, terms, voucher))
    return Context(data, signature, voucher.certificate)


def is_genuine_context(receiver: str, context: Context, terms: Terms, voucher: Voucher) -> bool:
    """Whether the receiver made it for this experiment and this set of senders."""
    said = _context_statement(receiver, context.data, terms, voucher)
    return voucher.believes(receiver, context.certificate, context.signature, said)


def _context_statement(receiver: str, data: bytes, terms: Terms, voucher: Voucher) -> bytes:
    return framed(_CONTEXT_PURPOSE, *_sum(receiver, terms, voucher), sha256(data).digest())


def statement(offer: Offer, terms: Terms, voucher: Voucher) -> bytes:
    """What is signed."""
    return framed(_PURPOSE, *_sum(offer.receiver, terms, voucher), offer.sender.encode(), offer.key)


def _sum(receiver: str, terms: Terms, voucher: Voucher) -> tuple[bytes, bytes, bytes]:
    """Which sums a key is for."""
    senders = framed(*(name.encode() for name in sorted(terms.weights(receiver))))
    return terms.experiment, framed(receiver.encode(), voucher.fingerprint(receiver)), senders


def write_offer(offer: Offer) -> bytes:
    """As it travels to its receiver."""
    return _message(offer).SerializeToString()


def read_offer(content: Content) -> Offer:
    """As it came.

    Raises:
        ValueError: it is none.
    """
    try:
        return _offer(pb.KeyOffer.FromString(bytes(content)))
    except DecodeError as error:
        raise ValueError("no key offer") from error


def write_roster(roster: RosterLetter) -> bytes:
    """As it travels to each of the senders."""
    context = roster.context
    return pb.KeyRoster(
        offers=[_message(offer) for offer in roster.offers],
        context=context.data,
        context_signature=context.signature,
        certificate=context.certificate,
    ).SerializeToString()


def read_roster(content: Content) -> RosterLetter:
    """As it came.

    Raises:
        ValueError: it is none.
    """
    try:
        message = pb.KeyRoster.FromString(bytes(content))
    except DecodeError as error:
        raise ValueError("no key roster") from error
    context = Context(message.context, message.context_signature, message.certificate)
    return RosterLetter([_offer(offer) for offer in message.offers], context)


def _message(offer: Offer) -> pb.KeyOffer:
    return pb.KeyOffer(
        sender=offer.sender,
        receiver=offer.receiver,
        key=offer.key,
        signature=offer.signature,
        certificate=offer.certificate,
    )


def _offer(message: pb.KeyOffer) -> Offer:
    return Offer(message.sender, message.receiver, message.key, message.signature, message.certificate)
