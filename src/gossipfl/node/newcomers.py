"""Nodes that join a running federation, and those that did: whom those that are known take to be up."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from pydantic import ValidationError

from gossipfl.config.addresses import parse_address
from gossipfl.config.loading import LoadedPeers
from gossipfl.config.peers import NodeConfig
from gossipfl.core.swim import Pace
from gossipfl.errors import ConfigError
from gossipfl.net.reports import MemberReport


def newcomers(told: Iterable[Sequence[MemberReport] | None], known: Collection[str]) -> list[NodeConfig]:
    """Nodes that are told of and not known, by name; no more than a federation may have.

    Args:
        told: what each node said that was asked; None: nothing.
    """
    addresses = {report.name: report.address for reports in told if reports for report in reports if report.address}
    names = sorted(addresses.keys() - set(known))[: Pace().most_members]
    return [node for name in names if (node := _node_of(name, addresses[name])) is not None]


def _node_of(name: str, address: str) -> NodeConfig | None:
    """None: somebody told a name or an address that is none."""
    try:
        return NodeConfig(name=name, address=address)
    except ValidationError:
        return None


def joining(loaded: LoadedPeers, through: Sequence[str], *, insecure: bool) -> LoadedPeers:
    """With whom the command line says to join through.

    Raises:
        ConfigError: the membership is static, or the nodes have no certificates to be known by.
    """
    peers = loaded.peers
    if through and peers.membership == "static":
        raise ConfigError("--join: peers.yaml has membership static, whose nodes are those in it; set dynamic")
    if insecure and peers.membership == "dynamic":
        raise ConfigError("--insecure: membership dynamic knows those who join by their certificates")
    for address in through:
        try:
            parse_address(address)
        except ValueError as error:
            raise ConfigError(f"--join: {error}") from None
    return replace(loaded, peers=peers.model_copy(update={"join": (*peers.join, *through)}))
