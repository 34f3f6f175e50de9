"""What a node protects by: who sums whom, with which weights, in which ring; refused where it would protect nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from gossipfl.config.protection import ProtectionConfig
from gossipfl.core.fixed_point import FixedPoint
from gossipfl.core.protocol import Schedule
from gossipfl.errors import ConfigError, TopologyError
from gossipfl.protection.ckks import LARGEST_BOUND, require_tenseal
from gossipfl.state import AdapterSpec

FEWEST = 3
"""Senders of a receiver: of two, each learns the other's state from the receiver's next one, or tells its own."""
LIGHTEST = 0.01
"""Of the heaviest sender's weight: whoever weighs less hides nobody, and is none of the three."""


@dataclass(frozen=True)
class Terms:
    """One node's.

    Attributes:
        me: the node.
        schedule: the same in every round.
        config: the experiment's section.
        spec: of what is exchanged.
        experiment: digest of the experiment; keys of another one are refused.
        max_norm: largest Euclidean norm of a mean.
    """

    me: str
    schedule: Schedule
    config: ProtectionConfig
    spec: AdapterSpec
    experiment: bytes
    max_norm: float

    @cached_property
    def ring(self) -> FixedPoint:
        """In which contributions are summed."""
        return ring_of(self.config)

    def weights(self, receiver: str) -> Mapping[str, float]:
        """With which a receiver mixes its senders, by their names."""
        return {name: weight for name, weight in self.schedule.row(receiver, 0).weights.items() if name != receiver}

    @cached_property
    def senders(self) -> tuple[str, ...]:
        """Of this node, sorted."""
        return tuple(sorted(self.weights(self.me)))

    @cached_property
    def most_senders(self) -> int:
        """Of any of this node's receivers."""
        return max(len(self.weights(name)) for name in self.receivers)

    @cached_property
    def receivers(self) -> frozenset[str]:
        """Whose sums this node is in."""
        return frozenset(self.schedule.row(self.me, 0).receivers)


def ring_of(config: ProtectionConfig) -> FixedPoint:
    """In which contributions are summed; of what is encrypted, only the rounding counts."""
    if config.kind == "homomorphic":
        return FixedPoint(64, config.scale_bits, config.bound)
    return FixedPoint(config.ring_bits, config.scale_bits, config.bound)


def check_protectable(schedule: Schedule, config: ProtectionConfig) -> None:
    """Returns if every node's sums hide their parts and fit the ring; at once where nothing is protected.

    Raises:
        TopologyError: a node has fewer than three senders that count, or hears others than hear it, or in other rounds.
        ConfigError: a sum could wrap, or a library is missing.
    """
    if not config.sums_only:
        return
    if schedule.period != 1:
        raise TopologyError(
            f"protection {config.kind}: topology.schedule has other senders in other rounds, not one set"
        )
    for name in schedule.nodes:
        row = schedule.row(name, 0)
        senders = [other for other in row.weights if other != name]
        if len(senders) < FEWEST:
            raise TopologyError(
                f"protection {config.kind}: node {name!r} has {len(senders)} neighbors, at least {FEWEST} expected: "
                "the sum over fewer hides nothing (a complete graph, a torus or topology.kind random_regular has more)"
            )
        _check_hidden(name, [row.weights[other] for other in senders], config)
        if {*senders} != {*row.receivers}:
            raise TopologyError(
                f"protection {config.kind}: node {name!r} hears others than hear it: set an undirected graph"
            )
        if config.kind == "masked":
            _check_ring(name, len(senders), config)
    if config.kind == "homomorphic":
        _check_encryption(config)


def _check_hidden(name: str, weights: Sequence[float], config: ProtectionConfig) -> None:
    """A sum in which one sender weighs nearly all is that sender's state."""
    heaviest = max(weights)
    counting = [weight for weight in weights if weight > 0 and weight >= LIGHTEST * heaviest]
    if len(counting) < FEWEST:
        raise TopologyError(
            f"protection {config.kind}: of {len(weights)} neighbors node {name!r} gives {len(counting)} a hundredth of "
            f"its largest weight {heaviest:g} or more, at least {FEWEST} expected: the others hide nothing (see "
            "topology.weights)"
        )


def _check_ring(name: str, senders: int, config: ProtectionConfig) -> None:
    if not ring_of(config).holds(senders):
        raise ConfigError(
            f"protection.bound: (neighbors + 1) · bound · 2^scale_bits = ({senders} + 1) · {config.bound:g} · "
            f"2^{config.scale_bits} at node {name!r}, below 2^{config.ring_bits - 1} was expected: lower bound or "
            "scale_bits, or set ring_bits 64"
        )


def _check_encryption(config: ProtectionConfig) -> None:
    require_tenseal()
    if config.bound > LARGEST_BOUND:
        raise ConfigError(
            f"protection.bound: {config.bound:g} does not fit a ciphertext, at most {LARGEST_BOUND:g} was expected"
        )
