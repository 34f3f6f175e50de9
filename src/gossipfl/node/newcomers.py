"""Nodes that joined a running federation: whom those that are known take to be up."""

from collections.abc import Collection, Iterable, Sequence

from pydantic import ValidationError

from gossipfl.config.peers import NodeConfig
from gossipfl.core.swim import Pace
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
