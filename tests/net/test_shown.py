"""A port's certificates: gRPC is told of them when they change, and not at every handshake."""

import asyncio
from typing import Any

import grpc
import pytest
from tests.net.test_trust import pinned
from tests.net.world import WAIT_S, World

from gossipfl.net.channels import open_channel
from gossipfl.net.pinning import Trust
from gossipfl.net.shown import Shown


def test_there_is_news_once_when_a_pinned_certificate_becomes_known_and_none_else(world: World) -> None:
    world.add("a")
    world.add("b")
    who = pinned(world, "a", "b")
    trust = Trust(who["a"])
    shown = Shown(who["a"], trust)
    assert isinstance(shown.now(), grpc.ServerCertificateConfiguration)
    assert [shown.news() for _ in range(3)] == [None] * 3
    trust.admit("b", who["b"].certificate)
    assert isinstance(shown.news(), grpc.ServerCertificateConfiguration)
    assert [shown.news() for _ in range(3)] == [None] * 3


async def test_handshakes_side_by_side_are_answered_and_gave_no_news(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    news = Shown.news

    def listen(shown: Shown) -> Any:
        told.append(news(shown))
        return told[-1]

    monkeypatch.setattr(Shown, "news", listen)
    address = world.add("a").address
    assert address is not None
    world.add("b", dials_only=True)
    player = world.player("a", "b")
    me = world.identity("b")

    async def dial() -> None:
        async with open_channel(me, Trust(me), "a", address, keepalive_s=10) as channel:
            await channel.channel_ready()

    async with player.transport, asyncio.timeout(WAIT_S):
        for _ in range(5):
            await asyncio.gather(*(dial() for _ in range(20)))
    assert len(told) >= 100
    assert set(told) == {None}
