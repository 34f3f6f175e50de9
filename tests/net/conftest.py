"""Fixtures of the network's tests."""

import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.net.world import Player, Raw, Rejections, World

from gossipfl.net.events import LinkUp


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def rejections() -> Iterator[Rejections]:
    heard = Rejections()
    logger = logging.getLogger("gossipfl.net.counters")
    logger.addHandler(heard)
    yield heard
    logger.removeHandler(heard)


@pytest.fixture
async def peer(world: World, node: Player) -> AsyncIterator[Raw]:
    """A stranger on a link to the module's own node, who has been let in."""
    async with world.stranger("b", "a") as raw:
        assert not (await raw.greet()).rejected
        await node.event(LinkUp)
        yield raw
