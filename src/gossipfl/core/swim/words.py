"""What members tell each other, and what the machine asks of whoever drives it.

    we ── ping n ──> T ── ack n ──> we                  are you there?
    we ── ask n about T ──> H ── ping n about us ──> T ── ack n about us, signed ──> H ── pass n about T ──> we

Every word carries news, a word of kind news nothing else.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from gossipfl.core.swim.standing import Standing

MOST_NEWS = 32
"""Cards in one word, and doubts."""
LAST_INCARNATION = 2**63
"""Nobody's is above it: who believed one could not count on from it."""


class Kind(Enum):
    """Of a word."""

    PING = "ping"
    ACK = "ack"
    ASK = "ask"
    PASS = "pass"  # noqa: S105  # to pass on
    NEWS = "news"


@dataclass(frozen=True, slots=True)
class Card:
    """What a member says of itself. Only a card raises a member's incarnation, and only its owner can sign one.

    Attributes:
        name: of the member.
        address: HOST:PORT where it is asked.
        incarnation: rises with every life and every doubt that it answers; the highest card counts.
        left: it has taken leave.
        proof: of all the above; the machine's `Seal` reads it, nothing else.
    """

    name: str
    address: str
    incarnation: int
    left: bool = False
    proof: bytes = b""


@dataclass(frozen=True, slots=True)
class Doubt:
    """Somebody has not heard a member, as it was at this incarnation. A hint: who hears it asks for itself."""

    name: str
    incarnation: int


@dataclass(frozen=True, slots=True)
class Word:
    """One message.

    Attributes:
        kind: see the module.
        number: of the question, or of the one that is answered.
        about: ask: whom to ping; ping, ack: in whose name, empty: the sender's own; pass: whose answer it is.
        proof: of an answer that is passed on, by the member whose it is.
        digest: of whom the sender takes to be up, so that equals need not tell each other.
        cards, doubts: news.
    """

    kind: Kind
    number: int
    about: str = ""
    proof: bytes = b""
    digest: int = 0
    cards: tuple[Card, ...] = ()
    doubts: tuple[Doubt, ...] = ()


@dataclass(frozen=True, slots=True)
class Seal:
    """Signatures, which the core does not know how to make.

    Attributes:
        sign: own signature.
        card: this member's, at an incarnation, here or gone.
        believes: whether a card is its owner's, whose certificate is good today.
        vouches: whether a member of this card signed a text.
    """

    sign: Callable[[bytes], bytes]
    card: Callable[[str, int, bool], Card]
    believes: Callable[[Card], bool]
    vouches: Callable[[Card, bytes, bytes], bool]


@dataclass(frozen=True, slots=True)
class Pace:
    """What the user wishes.

    Attributes:
        tick_s: least seconds between two rounds of questions: the price in messages, not a timeout.
        helpers: asked about a member that does not answer.
        most_members: that are known at once, up or not.
    """

    tick_s: float = 1.0
    helpers: int = 3
    most_members: int = 1024


@dataclass(frozen=True, slots=True)
class Say:
    """Send a word; it may get lost."""

    to: str
    address: str
    word: Word


@dataclass(frozen=True, slots=True)
class Changed:
    """A member's standing is another now."""

    name: str
    standing: Standing


Effect = Say | Changed


def answer_text(member: str, asker: str, number: int) -> bytes:
    """What a member signs when it is pinged in somebody's name."""
    return b"\0".join((b"gossipfl answer v1", member.encode(), asker.encode(), str(number).encode()))
