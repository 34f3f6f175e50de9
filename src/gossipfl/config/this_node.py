"""Which of the nodes in peers.yaml this process is.

--name, else `self:`, else $GOSSIPFL_NODE, else the one node whose address is this machine's
"""

import difflib
import socket
from collections.abc import Callable, Mapping

from gossipfl.config.addresses import LOOPBACK, own_hosts, parse_address
from gossipfl.config.peers import NodeConfig, Peers
from gossipfl.errors import ConfigError

VARIABLE = "GOSSIPFL_NODE"


def resolve_self(
    peers: Peers,
    name: str | None,
    environ: Mapping[str, str],
    *,
    hosts: Callable[[], frozenset[str]] = own_hosts,
) -> NodeConfig:
    """This machine's node.

    Args:
        name: what `--name` gave.
        environ: the process's environment.
        hosts: this machine's names and addresses, asked only when nothing else decides.

    Raises:
        ConfigError: the name is nobody's, or nothing decides; the message lists the names.
    """
    for said_by, wanted in (("--name", name), ("self", peers.self_name), (VARIABLE, environ.get(VARIABLE))):
        if wanted:
            return _named(peers, wanted, said_by)
    return _at_this_host(peers, hosts())


def _named(peers: Peers, wanted: str, said_by: str) -> NodeConfig:
    names = [node.name for node in peers.nodes]
    if wanted in names:
        return peers.nodes[names.index(wanted)]
    near = difflib.get_close_matches(wanted, names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ConfigError(f"{said_by}: no node is called {wanted!r}; {hint}the nodes are {', '.join(names)}")


def _at_this_host(peers: Peers, own: frozenset[str]) -> NodeConfig:
    hosts = {node: parse_address(node.address).host for node in peers.nodes if node.address}
    mine = [node for node, host in hosts.items() if host in own] or [
        node for node, host in hosts.items() if _resolved(host) & own
    ]
    looped = [node for node in mine if hosts[node] == LOOPBACK]
    # on one machine for a trial: loopback says nothing about who of them we are
    decisive = [node for node in mine if node not in looped] if len(looped) > 1 else mine
    if len(decisive) == 1:
        return decisive[0]
    why = "no node's address is this machine's" if not mine else "several nodes' addresses are this machine's"
    names = ", ".join(node.name for node in peers.nodes)
    raise ConfigError(f"which node is this? {why}: give --name, `self:` in peers.yaml or {VARIABLE}, one of {names}")


def _resolved(host: str) -> frozenset[str]:
    try:
        return frozenset(str(entry[4][0]) for entry in socket.getaddrinfo(host, None))
    except OSError:
        return frozenset()
