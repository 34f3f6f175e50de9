"""The page, its files, the stream of events, and the same figures as JSON for scripts and for Prometheus."""

from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from gossipfl.core.json_text import json_text
from gossipfl.node.dashboard.gate import Gate
from gossipfl.node.dashboard.hub import Hub
from gossipfl.node.dashboard.messages import Told, event, graph_of, history_of, network_of, told_by
from gossipfl.node.dashboard.site import Site

FILES = Path(__file__).parent / "static"


def make_app(hub: Hub, site: Site) -> Starlette:
    """The application behind its gate."""

    def page(_: Request) -> Response:
        return FileResponse(FILES / "page.html", media_type="text/html")

    async def events(_: Request) -> Response:
        if hub.is_full:
            return PlainTextResponse("too many are watching\n", 503)
        return StreamingResponse(stream(hub), media_type="text/event-stream")

    async def status(_: Request) -> Response:
        return Response(json_text((await hub.view()).as_json()), media_type="application/json")

    async def metrics(_: Request) -> Response:
        if find_spec("prometheus_client") is None:
            return PlainTextResponse("the extra prometheus is not installed\n", 501)
        from gossipfl.node.dashboard.metrics import CONTENT_TYPE, metrics_text  # noqa: PLC0415  # an extra

        return Response(metrics_text(await hub.view()), media_type=CONTENT_TYPE)

    routes = [
        Route("/", page),
        Route("/events", events),
        Route("/api/status", status),
        Route("/metrics", metrics),
        Mount("/static", StaticFiles(directory=FILES)),
    ]
    return Starlette(routes=routes, middleware=[Middleware(Gate, token=site.token, loopback_names=site.is_loopback)])


async def stream(hub: Hub) -> AsyncIterator[str]:
    """Events until the watcher leaves; the graph and the past when they are not as told."""
    told: Told = {}
    graph: object = None
    async for view in hub.views():
        if (links := [edge.ends for edge in view.edges]) != graph:
            graph = links
            yield event("graph", graph_of(view))
        if history := history_of(view, told):
            told = told_by(view)
            yield event("history", history)
        yield event("network", network_of(view))
