"""Asks all nodes of a peers file at once."""

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gossipfl.config.loading import LoadedPeers, load_peers, resolve_self
from gossipfl.config.peers import NodeConfig, Peers
from gossipfl.errors import ConfigError
from gossipfl.net.client import Line
from gossipfl.net.identity import Identity, load_identity
from gossipfl.net.pinning import Trust
from gossipfl.net.reports import StatusSnapshot

TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """One node's answer, or its silence.

    Attributes:
        answer: None when it did not answer, or has no address to be asked at.
    """

    name: str
    answer: StatusSnapshot | None
    rejected: Mapping[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The keys of commands.md.

        ε is None without privacy, as in a node's own metrics, though the wire says infinity; loss and accuracy are from
        a common public test set only.
        """
        answer = self.answer
        if answer is None:
            keys = ("step", "epsilon", "neighbors_up", "staleness", "bytes_sent", "state")
            return {"name": self.name, "up": False, **dict.fromkeys(keys), "rejected": {}}
        result = {
            "name": self.name,
            "up": True,
            "step": answer.step,
            "epsilon": None if math.isinf(answer.epsilon) else answer.epsilon,
            "neighbors_up": answer.neighbors_up,
            "neighbors": answer.neighbors,
            "staleness": answer.staleness,
            "bytes_sent": answer.bytes_sent,
            "bytes_received": answer.bytes_received,
            "rejected": dict(answer.rejected),
            "state": answer.state,
        }
        if answer.test_loss is not None:
            result |= {"loss": answer.test_loss, "accuracy": answer.test_accuracy}
        return result


class Asker:
    """Asks all nodes of a peers file, again and again; what was opened for it is closed on the way out.

    Args:
        me: as whom it asks.
        local: of the node that asks in its own process: what it would answer itself.
    """

    def __init__(
        self, loaded: LoadedPeers, identity: Identity, local: Callable[[], StatusSnapshot] | None = None
    ) -> None:
        self.loaded = loaded
        self._me, self._local = identity.name, local
        trust = Trust(identity)
        self._lines = {node.name: Line(trust, node) for node in loaded.peers.nodes}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*(line.__aexit__(kind, error, trace) for line in self._lines.values()))

    async def ask(self, *, details: bool = False, timeout_s: float = TIMEOUT_S) -> list[NodeStatus]:
        """The status of every node, in the order of peers.yaml."""
        answers = await asyncio.gather(*(self._ask(name, timeout_s, details=details) for name in self._lines))
        return [
            NodeStatus(name, answer, answer.rejected if answer else {})
            for name, answer in zip(self._lines, answers, strict=True)
        ]

    async def _ask(self, name: str, timeout_s: float, *, details: bool) -> StatusSnapshot | None:
        if self._local is not None and name == self._me:
            return self._local()
        return await self._lines[name].status(timeout_s, details=details)


def asker(
    path: Path,
    *,
    name: str | None,
    environ: Mapping[str, str],
    insecure: bool = False,
    local: Callable[[], StatusSnapshot] | None = None,
) -> Asker:
    """Who asks the nodes of peers.yaml.

    Args:
        name: as whom to ask; default as for `gossipfl node`, else the first node whose key is on this machine.
        local: see `Asker`.

    Raises:
        UserError: peers.yaml or this machine's certificate is not what it should be.
    """
    loaded = load_peers(path)
    me = _asking_node(loaded.peers, loaded.folder, name, environ)
    return Asker(loaded, load_identity(loaded.peers, loaded.folder, me, neighbors=(), insecure=insecure), local)


async def ask_all(
    path: Path, *, name: str | None, environ: Mapping[str, str], insecure: bool = False
) -> list[NodeStatus]:
    """One question to all; see `asker`."""
    async with asker(path, name=name, environ=environ, insecure=insecure) as ready:
        return await ready.ask()


def _asking_node(peers: Peers, folder: Path, name: str | None, environ: Mapping[str, str]) -> NodeConfig:
    try:
        return resolve_self(peers, name, environ)
    except ConfigError:
        here = [node for node in peers.nodes if node.key and (folder / node.key).is_file()]
        if name is not None or not here:
            raise
        return here[0]
