"""What a node tells those who ask: how far it is, and whom it knows."""

from collections.abc import Mapping
from dataclasses import dataclass, field


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
