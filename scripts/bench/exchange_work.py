"""What the nodes of the exchange bench do, whoever drives them: mix from random starts, and note what it costs."""

import time
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scripts.bench.meters import cpu_s

from gossipfl.config.gossip import GossipConfig
from gossipfl.core.codecs.packing import packer_for
from gossipfl.core.messages import Publishable
from gossipfl.core.mixing import MIXINGS
from gossipfl.core.protocol import Parts, Protocol, Schedule
from gossipfl.core.protocols import PROTOCOLS
from gossipfl.core.snapshot import Snapshot
from gossipfl.state import AdapterSpec, AdapterState


@dataclass(frozen=True, slots=True)
class Work:
    """What every node does.

    Attributes:
        protocol: sync, or wait_free settling.
        values: fp32 values in the state.
        rounds: exchanges in all.
        block: rounds between two marks.
        graph: who is whose neighbor.
        protection: of contributions; in whole nodes.
    """

    protocol: str
    values: int
    rounds: int
    block: int
    graph: str = "ring"
    protection: str = "plain"

    @property
    def gossip(self) -> GossipConfig:
        """No phases, mixing only."""
        return GossipConfig(protocol=self.protocol, settle_rounds=self.rounds, deadline_s=120.0, max_norm=1e5)


@dataclass(frozen=True, slots=True)
class Mark:
    """Clock and CPU time of a process when a round was mixed."""

    round: int
    at_s: float
    cpu_s: float


@dataclass(slots=True)
class Played:
    """What one node did.

    Attributes:
        marks: one every block.
        counted_bytes: sent, by the transport's counters.
        socket_bytes: sent, by the kernel's; 0 when not asked.
        peak_bytes: largest resident memory of the process; 0 when not asked.
        final: the vector at the end.
    """

    marks: list[Mark] = field(default_factory=list)
    counted_bytes: int = 0
    socket_bytes: int = 0
    peak_bytes: int = 0
    final: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))

    def note(self, finished: int, work: Work) -> None:
        """A mark, where a block ends or was passed: a round may be told of twice, or with the one after it."""
        due = self.marks[-1].round + work.block if self.marks else 0
        if due <= finished <= work.rounds:
            self.marks.append(Mark(finished, time.monotonic(), cpu_s()))


def start_vector(name: str, values: int) -> NDArray[np.float32]:
    """Where a node starts: the same in the process that checks the mean."""
    return np.random.default_rng(list(name.encode())).standard_normal(values, np.float32)


def build_protocol(name: str, schedule: Schedule, spec: AdapterSpec, work: Work) -> Protocol[AdapterState]:
    """The protocol at the beginning of its mixing-only rounds."""
    start = AdapterState(spec, start_vector(name, spec.size))
    parts = Parts(
        name=name,
        schedule=schedule,
        mixing=MIXINGS[work.gossip.mixing](work.gossip),
        gossip=work.gossip,
        phases=0,
        local_steps=1,
        clear=Publishable,
        snapshot=Snapshot(start, start),
        packer=partial(packer_for, work.gossip, 0, AdapterState.zeros(spec), name),
        sums_only=work.protection != "plain",
    )
    return PROTOCOLS[work.protocol](parts)
