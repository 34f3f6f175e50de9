"""What a node tells those who ask: how far it is, and whom it knows."""

from collections.abc import Mapping
from dataclasses import dataclass, field

REJECTIONS = 16
"""The last ones are told."""
HISTORY = 128
"""Points of a node's past are told."""


@dataclass(frozen=True, slots=True)
class EdgeReport:
    """What a node says of the edge to one neighbor.

    Attributes:
        up: there is a link now; the transport fills it in, and the bytes.
        bytes_sent, bytes_received: serialized messages, payload and framing.
        staleness: own mixings since the neighbor was heard; None before the first.
        distance: between the two ends' last published states; None where no state is read.
    """

    up: bool = False
    bytes_sent: int = 0
    bytes_received: int = 0
    staleness: int | None = None
    distance: float | None = None


@dataclass(frozen=True, slots=True)
class RejectionReport:
    """What was turned away for one reason.

    Attributes:
        peer: a neighbor; empty: anybody else.
        times: how often.
        ago_s: seconds since the last.
    """

    peer: str
    reason: str
    times: int
    ago_s: float


@dataclass(frozen=True, slots=True)
class Measured:
    """A point of a node's past.

    Attributes:
        epsilon: None without privacy.
        test_loss, test_accuracy: on a common public test set, else None.
        distance: root mean square of the distances to the neighbors.
    """

    step: int
    epsilon: float | None = None
    test_loss: float | None = None
    test_accuracy: float | None = None
    distance: float | None = None


@dataclass(frozen=True, slots=True)
class StatusDetails:
    """What a page or a terminal view shows besides.

    Attributes:
        steps_planned: optimizer steps of the whole run.
        target_epsilon: the budget; None without.
        edges: by neighbor; of those that the driver does not name the transport does.
        rejections: the last, newest first; the transport fills them in.
        history: from the first step on, thinned.
    """

    steps_planned: int = 0
    target_epsilon: float | None = None
    edges: Mapping[str, EdgeReport] = field(default_factory=dict)
    rejections: tuple[RejectionReport, ...] = ()
    history: tuple[Measured, ...] = ()


@dataclass(frozen=True, slots=True)
class StatusSnapshot:
    """How far a node is; nothing in it is decided by private data.

    Attributes:
        name: the node's.
        step: optimizer steps done.
        phase: training phases done.
        epsilon: ε spent by the data's account.
        staleness: own phases since the longest silent neighbor was heard.
        state: one word: training, mixing, serving, …
        neighbors_up, neighbors: links; the transport fills them in, and the bytes and rejections.
        bytes_sent, bytes_received: serialized messages, payload and framing.
        rejected: messages and peers turned away, by reason.
        test_loss, test_accuracy: on a common public test set, else None.
        details: when they were asked for; None from a node of before.
    """

    name: str
    step: int = 0
    phase: int = 0
    epsilon: float = 0.0
    staleness: int = 0
    state: str = ""
    neighbors_up: int = 0
    neighbors: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    test_loss: float | None = None
    test_accuracy: float | None = None
    details: StatusDetails | None = None


@dataclass(frozen=True, slots=True)
class MemberReport:
    """One node as another sees it.

    Attributes:
        name: the node's.
        address: where it is dialed; empty when it only dials out.
        up: there is a link to it now.
        incarnation: of the life last greeted; 0 before.
    """

    name: str
    address: str
    up: bool
    incarnation: int
