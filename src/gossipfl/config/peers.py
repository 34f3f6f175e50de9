"""peers.yaml: who takes part, where they are reached, and by which certificate they are known."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from gossipfl.config.addresses import parse_address
from gossipfl.config.experiment import Experiment
from gossipfl.config.limits import LimitsConfig
from gossipfl.config.machine import MachineConfig
from gossipfl.config.section import PositiveFloat, PositiveInt, Section
from gossipfl.config.topology import TopologyConfig

NodeName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$")]
"""A DNS label: it stands in the node's certificate."""


class NodeConfig(Section):
    """One organization's node."""

    name: NodeName
    address: str | None = None
    """HOST:PORT others dial; none for a node that only dials out."""
    listen: str | None = None
    """HOST:PORT to bind, when it differs from `address` (a container, a NAT)."""
    certificate: str | None = None
    """PEM file, relative to peers.yaml; a neighbor's is needed only when it is pinned and has no address."""
    key: str | None = None
    """PEM file of the private key; read on its own machine only."""
    fingerprint: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")] | None = None
    """Pins the certificate; then no authority is needed."""
    data: str | None = None
    """The node's records: file, folder or hub id, relative to peers.yaml; read on its own machine only."""
    ledger: str | None = None
    """The ledger of this node's data; default: `privacy.ledger`, else beside the data."""
    rank: PositiveInt | None = None
    """Rank of this node's adapter, with `adapter.mixed_ranks`; default: `adapter.rank`."""
    machine: MachineConfig = MachineConfig()
    """What is this machine's own: batch, steps or seconds of a phase, dtype, device, threads, and when it trains."""

    @field_validator("address", "listen")
    @classmethod
    def _is_an_address(cls, value: str | None) -> str | None:
        if value is not None:
            parse_address(value)
        return value


class Peers(Section):
    """peers.yaml as a whole."""

    experiment: str | Experiment
    """Path of experiment.yaml relative to peers.yaml, or its content."""
    self_name: Annotated[NodeName | None, Field(alias="self")] = None
    """This machine's node."""
    authority: str | None = None
    """PEM file of the certificate authority, relative to peers.yaml; or pin every node's fingerprint."""
    topology: TopologyConfig | None = None
    """Instead of the experiment's."""
    relay: bool = True
    """Whether this machine carries bytes between neighbors of its own that both only dial out; it cannot read them."""
    limits: LimitsConfig = LimitsConfig()
    """What one peer may cost this machine."""
    membership: Literal["static", "dynamic"] = "static"
    """static: the nodes are those of this file, which is read again when it changes and on SIGHUP. dynamic: whoever has
    a certificate of the authority may join through any node, and the graph is of those that are up; for gossip.protocol
    wait_free, plain averages and graphs that exist for any number of nodes."""
    join: tuple[str, ...] = ()
    """dynamic: HOST:PORT of nodes to join through; besides, the nodes of this file are tried."""
    probe_s: PositiveFloat = 1.0
    """dynamic: least seconds between two rounds of questions who is up; less finds out sooner and sends more. It is no
    timeout: how long to wait for an answer is learned from the answers."""
    revoked: str | None = None
    """PEM file of revoked certificates (`gossipfl certs revoke`), relative to this file; read again when it changes."""
    coordinators: tuple[NodeName, ...] = ()
    """Nodes whose operators may ask this node for a checkpoint of all (`gossipfl checkpoint ask`) and to stop together
    with all (`gossipfl stop`); default: its own only. Each machine's own file decides for its node."""
    nodes: Annotated[tuple[NodeConfig, ...], Field(min_length=1)]

    @field_validator("join")
    @classmethod
    def _are_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for address in value:
            parse_address(address)
        return value

    @model_validator(mode="after")
    def _who_comes_is_known_by_its_certificate(self) -> "Peers":
        if self.revoked is not None and self.authority is None:
            raise ValueError("revoked: only an authority revokes, and peers.yaml names none under `authority`")
        if self.membership == "static":
            if self.join:
                raise ValueError("join: goes with membership dynamic; static nodes are those of this file")
            return self
        if self.authority is None:
            raise ValueError("membership: dynamic needs an authority, by whose signature those who join are known")
        silent = [node.name for node in self.nodes if node.address is None]
        if silent:
            raise ValueError(
                f"nodes.{silent[0]}.address: needed with membership dynamic: others ask a node whether it is up"
            )
        return self

    @model_validator(mode="after")
    def _coordinators_are_nodes(self) -> "Peers":
        strangers = sorted({*self.coordinators} - {node.name for node in self.nodes})
        if strangers:
            raise ValueError(f"coordinators: {strangers[0]!r} is none of the nodes")
        return self

    @model_validator(mode="after")
    def _nodes_are_distinct(self) -> "Peers":
        for what, values in (
            ("name", [node.name for node in self.nodes]),
            ("address", [str(parse_address(node.address)) for node in self.nodes if node.address]),
        ):
            doubles = sorted({value for value in values if values.count(value) > 1})
            if doubles:
                raise ValueError(f"nodes: {what} {doubles[0]!r} is given to more than one node")
        return self
