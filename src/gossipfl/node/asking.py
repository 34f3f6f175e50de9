"""Asks all nodes of a peers file at once."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gossipfl.config.loading import load_peers, resolve_self
from gossipfl.config.peers import NodeConfig, Peers
from gossipfl.core.swim import Pace
from gossipfl.errors import ConfigError
from gossipfl.net.client import ask_members, ask_status
from gossipfl.net.identity import Identity, load_identity
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


async def ask_all(
    path: Path, *, name: str | None, environ: Mapping[str, str], insecure: bool = False
) -> list[NodeStatus]:
    """The status of every node, in the order of peers.yaml; then of those that joined, by name.

    Args:
        name: as whom to ask; default as for `gossipfl node`, else the first node whose key is on this machine.

    Raises:
        UserError: peers.yaml or this machine's certificate is not what it should be.
    """
    loaded = load_peers(path)
    me = _asker(loaded.peers, loaded.folder, name, environ)
    identity = load_identity(loaded.peers, loaded.folder, me, neighbors=(), insecure=insecure)
    nodes = [*loaded.peers.nodes]
    if loaded.peers.membership == "dynamic":
        nodes += await _others(identity, nodes)
    answers = await asyncio.gather(*(ask_status(identity, node, TIMEOUT_S) for node in nodes))
    return [
        NodeStatus(node.name, answer, answer.rejected if answer else {})
        for node, answer in zip(nodes, answers, strict=True)
    ]


async def _others(identity: Identity, known: Sequence[NodeConfig]) -> list[NodeConfig]:
    """Whom those that answer take to be up, besides those that are known."""
    told = await asyncio.gather(*(ask_members(identity, node, TIMEOUT_S) for node in known))
    addresses = {report.name: report.address for reports in told if reports for report in reports if report.address}
    names = sorted(addresses.keys() - {node.name for node in known})[: Pace().most_members]
    return [node for name in names if (node := _node_of(name, addresses[name])) is not None]


def _node_of(name: str, address: str) -> NodeConfig | None:
    """None: somebody told a name or an address that is none."""
    try:
        return NodeConfig(name=name, address=address)
    except ValidationError:
        return None


def _asker(peers: Peers, folder: Path, name: str | None, environ: Mapping[str, str]) -> NodeConfig:
    try:
        return resolve_self(peers, name, environ)
    except ConfigError:
        here = [node for node in peers.nodes if node.key and (folder / node.key).is_file()]
        if name is not None or not here:
            raise
        return here[0]
