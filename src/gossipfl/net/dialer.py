"""Keeping a link to a neighbor that has an address: dial, greet, carry, and again.

    wait before attempt k   even in [0, min(max_backoff_s, backoff_s · 2^k)]      full jitter: Brooker (AWS, 2015)

Jitter keeps nodes that lost the same peer at the same moment from coming back in step.
"""

import asyncio
import logging
import random
from enum import Enum

from gossipfl.errors import HandshakeError, MessageError, PeerError
from gossipfl.net.channels import SERVICE, reach
from gossipfl.net.context import Context
from gossipfl.net.duplex import DialedDuplex, LinkLostError
from gossipfl.net.handshake import DUPLICATE, NOT_YET, agree, greet, read_opening
from gossipfl.net.neighbors import Neighbor
from gossipfl.net.wire import Opening

logger = logging.getLogger(__name__)


class Outcome(Enum):
    """How an attempt ended."""

    CARRIED = "carried"
    FAILED = "failed"
    REFUSED = "refused"


class Dialer:
    """Keeps one neighbor's link up for as long as `run` runs."""

    def __init__(self, context: Context, neighbor: Neighbor, address: str) -> None:
        self._context = context
        self._neighbor = neighbor
        self._address = address
        self._last_word = ""

    async def run(self) -> None:
        """Dials whenever no link is up; ends by cancellation only."""
        attempt = 0
        while True:
            await self._neighbor.wait_down()
            outcome = await self._attempt()
            attempt = 0 if outcome is Outcome.CARRIED else attempt + 1
            await asyncio.sleep(self._pause_s(outcome, attempt))

    def _pause_s(self, outcome: Outcome, attempt: int) -> float:
        limits = self._context.limits
        if outcome is Outcome.REFUSED:
            return limits.refused_s * random.uniform(0.5, 1.0)  # noqa: S311  # spreads load, hides nothing
        return limits.pause_s(attempt)

    async def _attempt(self) -> Outcome:
        try:
            ended = await self._dial()
        except HandshakeError as error:
            return self._refused(error)
        except MessageError as error:
            self._context.counters.reject(error)
            return Outcome.FAILED
        except LinkLostError as error:
            if error.tls:
                text = f"no TLS with {self._neighbor.name!r}: {error}"
                self._context.counters.reject(HandshakeError(text, peer=self._neighbor.name, reason="certificate"))
            self._say("not reached", str(error))
            return Outcome.FAILED
        except (OSError, TimeoutError) as error:
            self._say("not reached", str(error) or type(error).__name__)
            return Outcome.FAILED
        self._say("link ended", ended)
        return Outcome.CARRIED

    async def _dial(self) -> str:
        """Connects, greets and carries a link to its end; why it ended."""
        context, neighbor = self._context, self._neighbor
        limits, believed = context.limits, context.trust.revoked
        channel = await reach(
            context.trust,
            neighbor.name,
            self._address,
            timeout_s=limits.connect_timeout_s,
            keepalive_s=limits.keepalive_s,
        )
        async with channel:
            call = channel.stream_stream(f"/{SERVICE}/Exchange")()
            try:
                duplex = DialedDuplex(call)
                async with asyncio.timeout(limits.connect_timeout_s):
                    ours, theirs = await self._greet(duplex)
                context.check_still_believed(believed, peer=neighbor.name)
                self._say("link up", f"incarnation {theirs.greeting.incarnation}")
                link = context.link(duplex, neighbor, ours, theirs, dialed_by=context.identity.name)
                return await neighbor.carry(link)
            finally:
                call.cancel()

    async def _greet(self, duplex: DialedDuplex) -> tuple[Opening, Opening]:
        """Our Hello and theirs."""
        name = self._neighbor.name
        ours = self._context.opening(name)
        await greet(duplex, ours)
        theirs = await read_opening(duplex, peer=name)

        def check(theirs: Opening) -> None:
            self._context.check_opening(theirs, peer=name)
            self._neighbor.check_stays(self._context.identity.name, theirs.greeting.incarnation)

        await agree(duplex, theirs, check, peer=name)
        return ours, theirs

    def _refused(self, error: PeerError) -> Outcome:
        if error.reason in {DUPLICATE, NOT_YET}:
            return Outcome.FAILED
        self._context.counters.reject(error)
        return Outcome.REFUSED

    def _say(self, what: str, word: str) -> None:
        """Logs what has changed, not every attempt."""
        if word != self._last_word:
            logger.info("%s %s: %s", self._neighbor.name, what, word, extra={"peer": self._neighbor.name})
            self._last_word = word
