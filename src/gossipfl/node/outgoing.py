"""Exactly what would leave a node next: to whom, which numbers, how many bytes, covered by what."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gossipfl.config.loading import load_peers, resolve_self
from gossipfl.core.codecs import build_codec
from gossipfl.core.codecs.packing import FLOW_BYTES, WHOLE
from gossipfl.core.messages import Receipt
from gossipfl.learning.bench import load_adapted
from gossipfl.node.assembly import schedule_of, site_of, state_dir_of
from gossipfl.node.checkpoint import load_latest
from gossipfl.node.ranks import as_node
from gossipfl.state import AdapterState, Segment


@dataclass(frozen=True, slots=True)
class OutgoingState:
    """What a node would publish now.

    Attributes:
        name: the node.
        state: the vector that travels.
        staying: private segments, which do not.
        payload_bytes: of one message, without framing; with all that ever crossed the edge where books are kept.
        receivers: who gets it.
        receipt: what the ledger has charged for it; of zero steps before the first training.
        step: optimizer steps inside.
    """

    name: str
    state: AdapterState
    staying: tuple[Segment, ...]
    payload_bytes: int
    receivers: tuple[str, ...]
    receipt: Receipt
    step: int


def next_outgoing(
    peers: Path, *, name: str | None, state_dir: Path | None, environ: dict[str, str], overrides: Sequence[str] = ()
) -> OutgoingState:
    """What the node would send in its next message: its newest checkpoint, or the common start.

    Raises:
        UserError: peers.yaml, the model or the state directory is not what it should be.
    """
    loaded = load_peers(peers, overrides)
    me = resolve_self(loaded.peers, name, environ)
    loaded = as_node(loaded, me)
    experiment = loaded.experiment.experiment
    saved = load_latest(state_dir or state_dir_of(loaded, me))
    whole = saved.state if saved else load_adapted(experiment, site_of(loaded, me)).initial
    state = whole.sharing()
    codec = build_codec(experiment.gossip)
    snapshot = saved.snapshot if saved else None
    # the first message of a life brings all that ever crossed its edge
    books = snapshot.mass if snapshot else None
    return OutgoingState(
        name=me.name,
        state=state,
        staying=tuple(segment for segment in whole.spec.segments if not segment.shared),
        payload_bytes=codec.sizes(state.spec)[-1]
        if books is None
        else WHOLE.sizes(state.spec)[-1] + FLOW_BYTES * state.spec.size,
        receivers=schedule_of(loaded).row(me.name, snapshot.round if snapshot else 0).receivers,
        receipt=snapshot.receipt if snapshot else Receipt(),
        step=snapshot.step if snapshot else 0,
    )
