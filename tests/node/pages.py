"""The dashboard's page over real HTTP, for tests."""

import asyncio
import base64
import http.client
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.node.study import Study

from gossipfl.net.reports import StatusSnapshot
from gossipfl.node.asking import observer
from gossipfl.node.dashboard.serving import serving
from gossipfl.node.dashboard.site import site_at

WAIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: str


def connected(url: str, context: ssl.SSLContext | None = None) -> http.client.HTTPConnection:
    where = urlsplit(url)
    assert where.hostname is not None
    if where.scheme == "https":
        return http.client.HTTPSConnection(where.hostname, where.port, timeout=WAIT_S, context=context)
    return http.client.HTTPConnection(where.hostname, where.port, timeout=WAIT_S)


async def get(
    url: str,
    path: str = "/",
    headers: Mapping[str, str] | None = None,
    *,
    method: str = "GET",
    context: ssl.SSLContext | None = None,
) -> Answer:
    def ask() -> Answer:
        connection = connected(url, context)
        try:
            connection.request(method, path, headers=headers or {})
            found = connection.getresponse()
            return Answer(
                found.status, {key.lower(): value for key, value in found.headers.items()}, found.read().decode()
            )
        finally:
            connection.close()

    return await asyncio.to_thread(ask)


@asynccontextmanager
async def served(
    study: Study,
    *,
    token: str | None = None,
    host: str = "127.0.0.1",
    local: Callable[[], StatusSnapshot] | None = None,
) -> AsyncIterator[str]:
    """The page as a node of the study, ada, serves it."""
    ready = observer(study.peers, name="ada", environ={}, local=local)
    async with serving(site_at(host, 0, token), ready) as url:
        yield url


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"anybody:{password}".encode()).decode()
