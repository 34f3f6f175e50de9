"""experiment.yaml, `protection`: who may read what a node contributes to its neighbors' averages."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from gossipfl.config.gossip import GossipConfig
from gossipfl.config.section import PositiveFloat, Section
from gossipfl.config.topology import TopologyConfig


class ProtectionConfig(Section):
    """Who reads a contribution. `protection: masked` alone is short for `kind: masked`."""

    kind: Literal["plain", "masked", "homomorphic"] = "plain"
    """plain: every neighbor reads this node's state; masked: it learns the sum over its neighbors only, by masks that
    cancel, for sync on a graph where everybody has three neighbors or more; homomorphic: the same by encryption under
    its key, from sender to sender, for small adapters (40 bytes a value and hop), extra `he`."""
    bound: PositiveFloat = 16.0
    """Public bound B on the magnitude of every value; a node beyond it sits out, and its receivers skip the round."""
    scale_bits: Annotated[int, Field(ge=20, le=24)] = 22
    """Values are rounded to multiples of 2^-scale_bits; more is finer and leaves less room for `bound`."""
    ring_bits: Literal[32, 64] = 32
    """masked: sums are modulo 2^ring_bits; 32 sends no more bytes than fp32, 64 twice as many and has more room."""
    unsigned_trial: bool = False
    """For trials with --insecure, where no certificate can sign keys: a receiver that cheats could then read all."""

    @model_validator(mode="before")
    @classmethod
    def _a_name_alone(cls, value: Any) -> Any:  # noqa: ANN401  # whatever the file holds
        return {"kind": value} if isinstance(value, str) else value

    @property
    def sums_only(self) -> bool:
        """Whether a receiver learns nothing but the sum over its neighbors."""
        return self.kind != "plain"


def check_protected(protection: ProtectionConfig, gossip: GossipConfig, topology: TopologyConfig) -> None:
    """Returns if gossip goes with what a receiver learns.

    Raises:
        ValueError: it needs single contributions, or other senders in every round; one line with the reason.
    """
    kind = protection.kind
    if not protection.sums_only:
        return
    if gossip.protocol != "sync":
        raise ValueError(
            f"protection {kind} sums one round of all neighbors, and gossip.protocol {gossip.protocol} mixes them one "
            "by one: set gossip.protocol sync"
        )
    # a schedule of the user's own is asked when it is built
    if topology.schedule != "static" and ":" not in topology.schedule:
        raise ValueError(
            f"protection {kind} needs the same senders in every round, since sums over others subtract to single "
            f"states, and topology.schedule is {topology.schedule}: set static"
        )
    if gossip.mixing != "weighted":
        raise ValueError(
            f"protection {kind} shows a node the weighted sum of its neighbors only, and gossip.mixing {gossip.mixing} "
            "looks at each of them: set weighted"
        )
    if gossip.codec != "fp32" or gossip.zstd:
        codec = f"{gossip.codec} with zstd" if gossip.zstd else gossip.codec
        raise ValueError(
            f"protection {kind} goes with gossip.codec fp32 without zstd, not {codec}: differences to what a neighbor "
            "saw last need a neighbor that sees"
        )
