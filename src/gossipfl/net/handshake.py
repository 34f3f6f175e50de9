"""The first frames of every link: a Hello each way, then an Ack each way that says welcome or why not.

    us    Hello ──>   <── Hello    check    Ack ──>   <── Ack    link is up

Both ends check, so that both can say which component differs; each also tells the other.
"""

from collections.abc import Callable

from gossipfl.errors import HandshakeError, MessageError
from gossipfl.net.duplex import Duplex, LinkLostError
from gossipfl.net.framing import Frame, ack_frame, hello_frame, parse_frame
from gossipfl.net.wire import Opening, hello_of, opening_of
from gossipfl.v1 import gossip_pb2 as pb

DUPLICATE = "duplicate"
"""Reason of a refusal that is none: there is a better link already."""
NOT_YET = "not_yet"
"""Likewise: who is up is not known to both ends alike at the moment."""
_REASONS = frozenset(
    {
        "version",
        "branch",
        "fingerprint",
        "basis",
        "topology",
        "codec",
        "ledger",
        "certificate",
        "unknown_sender",
        DUPLICATE,
    }
)
_LONGEST_REFUSAL = 500


async def read_opening(duplex: Duplex, *, peer: str) -> Opening:
    """The Hello that a stream begins with.

    Raises:
        MessageError: reason garbage: it begins with something else.
        LinkLostError: it broke off.
    """
    frame = await _read(duplex, peer)
    if not isinstance(frame, pb.Hello):
        raise MessageError(f"{peer!r} did not begin with a Hello", peer=peer, reason="garbage")
    return opening_of(frame)


async def greet(duplex: Duplex, ours: Opening) -> None:
    """Says our Hello."""
    await duplex.write(hello_frame(hello_of(ours)))


async def agree(duplex: Duplex, theirs: Opening, check: Callable[[Opening], None], *, peer: str) -> None:
    """Exchanges verdicts; returns when both ends agree to gossip.

    Args:
        check: raises `HandshakeError` when the peer does not fit.

    Raises:
        HandshakeError: what does not fit, by our check or theirs; ours has precedence, since it is ours to say.
        MessageError: reason garbage: no verdict came.
        LinkLostError: the stream broke off.
    """
    ours: HandshakeError | None = None
    try:
        check(theirs)
    except HandshakeError as error:
        ours = error
    try:
        await duplex.write(ack_frame(rejected=_as_text(ours)))
        verdict = await _read(duplex, peer)
    except LinkLostError:
        if ours is not None:
            raise ours from None
        raise
    if ours is not None:
        raise ours
    if not isinstance(verdict, pb.Ack):
        raise MessageError(f"{peer!r} gave no verdict on our Hello", peer=peer, reason="garbage")
    if verdict.rejected:
        raise _their_refusal(verdict.rejected, peer)


def _as_text(error: HandshakeError | None) -> str:
    return "" if error is None else f"{error.reason}: {error}"[:_LONGEST_REFUSAL]


def _their_refusal(text: str, peer: str) -> HandshakeError:
    reason, _, message = text[:_LONGEST_REFUSAL].partition(": ")
    known = reason if reason in _REASONS else "refused"
    return HandshakeError(f"{peer!r} refuses this node: {(message or text)!r}", peer=peer, reason=known)


async def _read(duplex: Duplex, peer: str) -> Frame:
    data = await duplex.read()
    if data is None:
        raise LinkLostError(f"{peer!r} hung up during the greeting")
    return parse_frame(data, peer=peer)
