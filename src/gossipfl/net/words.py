"""Words on who is up as protobuf messages and back; what came is bounded and checked before it is a word."""

import re

from google.protobuf.message import DecodeError

from gossipfl.config.addresses import parse_address
from gossipfl.core.swim import Card, Doubt, Kind, Word
from gossipfl.core.swim.words import LAST_INCARNATION, MOST_NEWS
from gossipfl.errors import ConfigError, MessageError
from gossipfl.net.limits import CONTROL_BYTES
from gossipfl.v1 import gossip_pb2 as pb

_KINDS = {
    Kind.PING: pb.MemberWord.PING,
    Kind.ACK: pb.MemberWord.ACK,
    Kind.ASK: pb.MemberWord.ASK,
    Kind.PASS: pb.MemberWord.PASS,
    Kind.NEWS: pb.MemberWord.NEWS,
}
_MEANT = {number: kind for kind, number in _KINDS.items()}
_NAME = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?")
"""As in peers.yaml."""
_LONGEST_ADDRESS = 261
"""A DNS name, a colon and a port."""
_LONGEST_PROOF = 4096
"""Bytes; a certificate and a signature fit several times."""


def word_bytes(word: Word) -> bytes:
    """As it travels."""
    return pb.MemberWord(
        kind=_KINDS[word.kind],
        number=word.number,
        about=word.about,
        proof=word.proof,
        digest=word.digest,
        cards=[
            pb.MemberCard(
                name=card.name, address=card.address, incarnation=card.incarnation, left=card.left, proof=card.proof
            )
            for card in word.cards
        ],
        doubts=[pb.MemberDoubt(name=doubt.name, incarnation=doubt.incarnation) for doubt in word.doubts],
    ).SerializeToString()


def word_of(data: bytes, *, peer: str) -> Word:
    """As it came.

    Raises:
        MessageError: reason garbage: too large, not protobuf, or not what a word holds.
    """
    if len(data) > CONTROL_BYTES:
        raise _garbage(peer, f"a word of {len(data)} bytes, at most {CONTROL_BYTES} were expected")
    try:
        message = pb.MemberWord.FromString(data)
    except DecodeError as error:
        raise _garbage(peer, f"{len(data)} bytes that are no word") from error
    if message.kind not in _MEANT:
        raise _garbage(peer, "a word of an unknown kind")
    if len(message.cards) > MOST_NEWS or len(message.doubts) > MOST_NEWS:
        raise _garbage(peer, f"{len(message.cards)} cards and {len(message.doubts)} doubts")
    if message.about:
        _check_name(message.about, peer=peer)
    _check_proof(message.proof, peer=peer)
    cards = tuple(_card_of(card, peer=peer) for card in message.cards)
    doubts = tuple(_doubt_of(doubt, peer=peer) for doubt in message.doubts)
    return Word(_MEANT[message.kind], message.number, message.about, message.proof, message.digest, cards, doubts)


def _card_of(card: pb.MemberCard, *, peer: str) -> Card:
    _check_name(card.name, peer=peer)
    _check_proof(card.proof, peer=peer)
    _check_incarnation(card.incarnation, peer=peer)
    if len(card.address) > _LONGEST_ADDRESS:
        raise _garbage(peer, f"an address of {len(card.address)} characters")
    try:
        parse_address(card.address)
    except (ConfigError, ValueError) as error:
        raise _garbage(peer, f"the address {card.address[:64]!r}") from error
    return Card(card.name, card.address, card.incarnation, card.left, card.proof)


def _doubt_of(doubt: pb.MemberDoubt, *, peer: str) -> Doubt:
    _check_name(doubt.name, peer=peer)
    _check_incarnation(doubt.incarnation, peer=peer)
    return Doubt(doubt.name, doubt.incarnation)


def _check_name(name: str, *, peer: str) -> None:
    if not _NAME.fullmatch(name):
        raise _garbage(peer, f"the name {name[:64]!r}")


def _check_proof(proof: bytes, *, peer: str) -> None:
    if len(proof) > _LONGEST_PROOF:
        raise _garbage(peer, f"a proof of {len(proof)} bytes")


def _check_incarnation(incarnation: int, *, peer: str) -> None:
    if incarnation >= LAST_INCARNATION:
        raise _garbage(peer, f"the incarnation {incarnation}")


def _garbage(peer: str, what: str) -> MessageError:
    return MessageError(f"{peer!r} sent {what}", peer=peer, reason="garbage")
