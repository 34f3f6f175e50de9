"""The page's HTTP server, inside whatever event loop it is entered in."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn

from gossipfl.node.asking import Observer
from gossipfl.node.dashboard.app import make_app
from gossipfl.node.dashboard.hub import Hub
from gossipfl.node.dashboard.site import Site

logger = logging.getLogger(__name__)
_CLOSE_S = 1
_MOST_REQUESTS = 128
"""At once; each open page holds one."""


class _Server(uvicorn.Server):
    """Leaves signals alone: they belong to whoever runs the loop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def serving(site: Site, observer: Observer) -> AsyncIterator[str]:
    """The page is there for as long as this is entered; its URL.

    A later failure of the page is logged and goes no further: a node trains on without it.

    Args:
        observer: who asks the nodes; it is entered here. Off loopback its certificate is the page's.

    Raises:
        NetworkError: the site's port is in use, or not this machine's.
    """
    if not site.is_loopback and observer.pem_files is not None:
        site = site.secured(*observer.pem_files)
    port, hub = site.listen(), Hub(observer)
    server = _Server(_config(site, hub))
    async with observer:
        tasks = [
            asyncio.create_task(hub.run(), name="dashboard: looking"),
            asyncio.create_task(server.serve(sockets=[port]), name="dashboard: serving"),
        ]
        for task in tasks:
            task.add_done_callback(_say_failure)
        try:
            yield _url(site, port)
        finally:
            hub.close()
            server.should_exit = True
            tasks[0].cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            port.close()


def _url(site: Site, port: socket.socket) -> str:
    host, number = site.host, port.getsockname()[1]
    return f"{site.scheme}://[{host}]:{number}/" if ":" in host else f"{site.scheme}://{host}:{number}/"


def _config(site: Site, hub: Hub) -> uvicorn.Config:
    return uvicorn.Config(
        make_app(hub, site),
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        # nobody in front of it is believed
        proxy_headers=False,
        server_header=False,
        limit_concurrency=_MOST_REQUESTS,
        timeout_graceful_shutdown=_CLOSE_S,
        ssl_certfile=site.certificate,
        ssl_keyfile=site.key,
    )


def _say_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.critical("%s failed", task.get_name(), exc_info=error)
