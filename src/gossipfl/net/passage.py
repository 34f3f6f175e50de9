"""What whoever traces, and whoever reads logs, is told of a link's messages."""

import logging
from dataclasses import dataclass

from gossipfl.net.wire import Envelope

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Passage:
    """One message that has left in full, or arrived and passed every check; for whoever traces.

    Attributes:
        outward: it left.
        envelope: what was said beside the payload.
        began_ns, ended_ns: its first and its last byte at this end, since the epoch.
    """

    outward: bool
    envelope: Envelope
    began_ns: int
    ended_ns: int


def unnoticed(_: Passage) -> None:
    """Where nobody traces."""


def log_message(what: str, peer: str, envelope: Envelope) -> None:
    """A line at level debug that both ends' logs join on by `exchange`."""
    if logger.isEnabledFor(logging.DEBUG):
        header = envelope.header
        fields = {
            "peer": peer,
            "exchange": envelope.exchange,
            "round": header.round,
            "step": header.step,
            "codec": envelope.codec,
            "payload_bytes": envelope.payload_bytes,
        }
        logger.debug(what, peer, extra=fields)
