"""Asks all nodes of a peers file at once, once or again and again: the one reader of statuses."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from gossipfl.config.graph_files import graph_for
from gossipfl.config.loading import LoadedPeers, load_peers, resolve_self
from gossipfl.config.peers import NodeConfig, Peers
from gossipfl.core.topology import build_schedule
from gossipfl.errors import ConfigError, UserError
from gossipfl.net.client import Line
from gossipfl.net.identity import Identity, load_identity
from gossipfl.net.pinning import Trust
from gossipfl.net.reports import StatusSnapshot
from gossipfl.node.network_view import Link, NetworkView, view_of
from gossipfl.node.newcomers import newcomers
from gossipfl.node.node_status import NodeStatus

logger = logging.getLogger(__name__)
TIMEOUT_S = 5.0


class Observer:
    """Asks, and remembers the last answer of every node; what was opened for it is closed on the way out.

    Args:
        loaded: peers.yaml.
        identity: as whom it asks.
        local: of a node that observes in its own process: what it would answer itself.

    Attributes:
        links: who exchanges with whom, by peers.yaml.
        pem_files: certificate and key as whom it asks; None without TLS.
    """

    def __init__(
        self, loaded: LoadedPeers, identity: Identity, local: Callable[[], StatusSnapshot] | None = None
    ) -> None:
        self.links = links_of(loaded)
        self.pem_files = None if identity.insecure else _pem_files(loaded, identity.name)
        self._nodes = [*loaded.peers.nodes]
        self._live = loaded.peers.membership == "dynamic"
        self._me, self._local = identity.name, local
        self._trust = Trust(identity)
        self._lines = {node.name: Line(self._trust, node) for node in self._nodes}
        self._before: dict[str, tuple[StatusSnapshot, float]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*(line.__aexit__(kind, error, trace) for line in self._lines.values()))

    async def look(self, *, details: bool = True, timeout_s: float = TIMEOUT_S) -> NetworkView:
        """All nodes as they are now, in the order of peers.yaml; then those that joined, by name as they come."""
        if self._live:
            await self._meet(timeout_s)
        asked = (self._ask(name, timeout_s, details=details) for name in self._lines)
        answers = dict(zip(self._lines, await asyncio.gather(*asked), strict=True))
        now = time.monotonic()
        self._before |= {name: (answer, now) for name, answer in answers.items() if answer is not None}
        return view_of([self._seen(node, answers[node.name], now) for node in self._nodes], self.links)

    async def _meet(self, timeout_s: float) -> None:
        """Knows from now on whom the others know."""
        told = await asyncio.gather(*(line.members(timeout_s) for line in self._lines.values()))
        for node in newcomers(told, self._lines):
            self._nodes.append(node)
            self._lines[node.name] = Line(self._trust, node)

    async def _ask(self, name: str, timeout_s: float, *, details: bool) -> StatusSnapshot | None:
        if self._local is not None and name == self._me:
            return self._local()
        return await self._lines[name].status(timeout_s, details=details)

    def _seen(self, node: NodeConfig, answer: StatusSnapshot | None, now: float) -> NodeStatus:
        has_address = node.address is not None
        if answer is not None or node.name not in self._before:
            return NodeStatus(node.name, answer, has_address=has_address)
        before, at = self._before[node.name]
        return NodeStatus(node.name, None, before, now - at, has_address)


def observer(
    path: Path,
    *,
    name: str | None,
    environ: Mapping[str, str],
    insecure: bool = False,
    local: Callable[[], StatusSnapshot] | None = None,
) -> Observer:
    """Who asks the nodes of peers.yaml.

    Args:
        name: as whom to ask; default as for `gossipfl node`, else the first node whose key is on this machine.
        local: see `Observer`.

    Raises:
        UserError: peers.yaml or this machine's certificate is not what it should be.
    """
    loaded = load_peers(path)
    me = _asking_node(loaded.peers, loaded.folder, name, environ)
    return Observer(loaded, load_identity(loaded.peers, loaded.folder, me, neighbors=(), insecure=insecure), local)


async def ask_all(path: Path, *, name: str | None, environ: Mapping[str, str], insecure: bool = False) -> NetworkView:
    """One look at all nodes; see `observer`."""
    async with observer(path, name=name, environ=environ, insecure=insecure) as ready:
        return await ready.look()


def links_of(loaded: LoadedPeers) -> tuple[Link, ...]:
    """Who exchanges with whom, by peers.yaml; nothing where it does not say so, or not on this machine."""
    topology = loaded.experiment.experiment.topology
    if loaded.peers.membership == "dynamic":
        return ()
    if topology.weights == "optimal":
        # a solver's work, and the links are the same
        topology = topology.model_copy(update={"weights": "auto"})
    try:
        schedule = build_schedule(topology, loaded.names, graph_for(topology, loaded.experiment.topology_folder))
    except UserError as error:
        logger.warning("the graph is known from what nodes tell only: %s", error)
        return ()
    pairs = {(min(name, other), max(name, other)) for name in schedule.nodes for other in schedule.neighbors(name)}
    return tuple(sorted(pairs))


def _pem_files(loaded: LoadedPeers, name: str) -> tuple[Path, Path] | None:
    me = next(node for node in loaded.peers.nodes if node.name == name)
    return (loaded.folder / me.certificate, loaded.folder / me.key) if me.certificate and me.key else None


def _asking_node(peers: Peers, folder: Path, name: str | None, environ: Mapping[str, str]) -> NodeConfig:
    try:
        return resolve_self(peers, name, environ)
    except ConfigError:
        here = [node for node in peers.nodes if node.key and (folder / node.key).is_file()]
        if name is not None or not here:
            raise
        return here[0]
