"""peers.yaml, `limits`: what one peer may cost this machine."""

from typing import Annotated

from pydantic import Field

from gossipfl.config.section import PositiveInt, Section

SMALLEST_BYTES_PER_S = 1 << 21
"""A frame is charged in one piece, and is half as large at most."""


class LimitsConfig(Section):
    """What one peer may cost this machine, and all together; every machine may have its own.

    Links are not broken for it: a neighbor that sends more is read more slowly, and waits in its own send queue, where
    the newest state takes the place of older ones.
    """

    bytes_per_s: Annotated[int, Field(ge=SMALLEST_BYTES_PER_S)] = 250_000_000
    """Bytes read from a neighbor, 2 Gbit/s; a second's worth may come at once."""
    messages_per_s: PositiveInt = 1000
    """Frames that carry no payload, read from a neighbor: one a message, and one for each that was refused."""
    calls_per_s: PositiveInt = 50
    """Calls of a member: greetings, status, links it opens; more are refused."""
    calls_at_once: PositiveInt = 32
    """Calls of a member that are open together, links and tunnels with them; more are refused."""
    connections: PositiveInt = 512
    """Connections of all together to one address, counted before anybody shows a certificate; more are closed as they
    come. One without a certificate after ten seconds is closed, one without a call for five minutes too."""
    waiting: PositiveInt = 4
    """Messages of a neighbor that wait to be mixed; nothing more is read from it while there are so many."""
