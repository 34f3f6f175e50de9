"""Fixtures of the network's tests."""

import logging
from collections.abc import Iterator

import pytest
from tests.net.world import Rejections, World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def rejections() -> Iterator[Rejections]:
    heard = Rejections()
    logger = logging.getLogger("gossipfl.net.counters")
    logger.addHandler(heard)
    yield heard
    logger.removeHandler(heard)
