"""Dynamic membership on the network: words between all members, over mutual TLS, and what the machine asks for.

machine ── Say ──> channel of the member (a few are kept open) ── Tell ──> its port ──> its machine
        ── Changed ──> who is up, for the driver

A word that does not arrive is a word lost: nothing is sent twice, and nobody waits for it but the machine.
"""

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

import grpc

from gossipfl.core.swim import Changed, Effect, Say, Standing, Swim
from gossipfl.errors import HandshakeError
from gossipfl.net.channels import SERVICE, open_channel
from gossipfl.net.limits import Limits
from gossipfl.net.pinning import Trust
from gossipfl.net.words import word_bytes, word_of

logger = logging.getLogger(__name__)
_CHANNELS = 32
"""Kept open; the one that was used longest ago makes room."""
_ON_THEIR_WAY = 256
"""Words at once; more are lost."""
_FAULTS = (grpc.RpcError, grpc.aio.UsageError, HandshakeError, OSError, TimeoutError)


class Mesh:
    """Drives one node's machine.

    Args:
        machine: not yet woken.
        address: own.
        contacts: HOST:PORT to join through, whose nodes' names are found out.
        changed: told, on the event loop, who is up: address by name, this node among them.
    """

    def __init__(
        self,
        machine: Swim,
        trust: Trust,
        limits: Limits,
        *,
        contacts: Sequence[str],
        changed: Callable[[Mapping[str, str]], None],
    ) -> None:
        self.machine = machine
        self._trust = trust
        self._limits = limits
        self._contacts = contacts
        self._changed = changed
        self._poked = asyncio.Event()
        self._channels: OrderedDict[tuple[str, str], grpc.aio.Channel] = OrderedDict()
        self._sending: set[asyncio.Task[None]] = set()
        self._up: Mapping[str, str] = {}
        self._left = False

    async def run(self, known: Mapping[str, str]) -> None:
        """Asks and is asked until it is cancelled.

        Args:
            known: address by name of nodes that peers.yaml has.
        """
        self.machine.meet(known)
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks:
            for address in self._contacts:
                tasks.create_task(self._meet(address, dict(known)))
            while True:
                self._perform(self.machine.wake(loop.time()))
                self._poked.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(self.machine.due):
                        await self._poked.wait()

    async def leave(self) -> None:
        """Takes leave; within `close_s`."""
        self._left = True
        self._perform(self.machine.leave())
        if self._sending:
            await asyncio.wait(self._sending, timeout=self._limits.close_s)
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*(channel.close() for channel in self._channels.values()), return_exceptions=True)

    def hear(self, sender: str, data: bytes) -> None:
        """A word that came in; TLS has verified the sender.

        Raises:
            MessageError: reason garbage.
        """
        word = word_of(data, peer=sender)
        self._perform(self.machine.hear(sender, word, asyncio.get_running_loop().time()))
        # what came may have to be waited for less, or longer
        self._poked.set()

    def sift(self) -> None:
        """Forgets members whose certificates are not believed any more."""
        self._perform(self.machine.sift())

    async def _meet(self, address: str, known: dict[str, str]) -> None:
        """Finds out who is at an address, until somebody is up or it is known."""
        pause_s = self._limits.backoff_s
        while True:
            try:
                name = await self._trust.meet(address, self._limits.connect_timeout_s)
            except _FAULTS as error:
                logger.info("not joined through %s yet: %s", address, error or type(error).__name__)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, self._limits.max_backoff_s)
                continue
            logger.info("joining through %s at %s", name, address, extra={"peer": name})
            known[name] = address
            self.machine.meet(known)
            return

    def _perform(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case Say() if len(self._sending) < _ON_THEIR_WAY:
                    task = asyncio.create_task(self._send(effect), name=f"tell {effect.to}")
                    self._sending.add(task)
                    task.add_done_callback(self._sending.discard)
                case Changed(name=name, standing=standing):
                    level = logging.DEBUG if standing is Standing.DOUBTED else logging.INFO
                    logger.log(level, "%s is %s", name, standing.value, extra={"peer": name})
                case Say():
                    logger.debug("a word to %s is lost: too many are on their way", effect.to)
        self._tell_if_changed()

    def _tell_if_changed(self) -> None:
        up = {name: self._address(name) for name in self.machine.up}
        if up != self._up and not self._left:
            self._up = up
            self._changed(up)

    def _address(self, name: str) -> str:
        member = self.machine.member(name)
        return self.machine.card.address if member is None else member.card.address

    async def _send(self, say: Say) -> None:
        key = (say.to, say.address)
        try:
            async with asyncio.timeout(self._limits.connect_timeout_s):
                channel = await self._channel(say.to, say.address)
                await channel.unary_unary(f"/{SERVICE}/Tell")(word_bytes(say.word))
        except _FAULTS as error:
            logger.debug("a word to %s is lost: %s", say.to, error)
            # a fresh one each time: gRPC would wait longer and longer between its own attempts
            if (broken := self._channels.pop(key, None)) is not None:
                await broken.close()

    async def _channel(self, name: str, address: str) -> "grpc.aio.Channel":
        key = (name, address)
        if key not in self._channels:
            await self._trust.fetch(name, address, self._limits.connect_timeout_s)
        if key not in self._channels:
            self._channels[key] = open_channel(
                self._trust.identity, self._trust, name, address, keepalive_s=self._limits.keepalive_s
            )
        self._channels.move_to_end(key)
        if len(self._channels) > _CHANNELS:
            _, oldest = self._channels.popitem(last=False)
            self._sending.add(closing := asyncio.create_task(oldest.close(grace=self._limits.close_s)))
            closing.add_done_callback(self._sending.discard)
        return self._channels[key]
