"""peers.yaml: who takes part, where they are reached, and by which certificate they are known."""

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from gossipfl.config.addresses import parse_address
from gossipfl.config.experiment import Experiment
from gossipfl.config.limits import LimitsConfig
from gossipfl.config.section import PositiveInt, Section
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
    nodes: Annotated[tuple[NodeConfig, ...], Field(min_length=1)]

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
