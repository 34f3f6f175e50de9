"""Exactly what would leave a node next: to whom, which numbers, how many bytes, covered by what."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gossipfl.config.experiment import Experiment
from gossipfl.config.loading import load_peers, resolve_self
from gossipfl.core.codecs import build_codec
from gossipfl.core.codecs.packing import FLOW_BYTES, WHOLE
from gossipfl.core.messages import Receipt
from gossipfl.learning.bench import load_adapted
from gossipfl.node.assembly import site_of, state_dir_of
from gossipfl.node.checkpoint import load_latest
from gossipfl.node.ranks import as_node
from gossipfl.node.schedules import schedule_of
from gossipfl.protection.ckks import most_bytes
from gossipfl.protection.hops import SEAL_BYTES
from gossipfl.protection.terms import ring_of
from gossipfl.state import AdapterSpec, AdapterState, Segment


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
        protection: what each receiver gets of it; plain: the state.
    """

    name: str
    state: AdapterState
    staying: tuple[Segment, ...]
    payload_bytes: int
    receivers: tuple[str, ...]
    receipt: Receipt
    step: int
    protection: str = "plain"


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
    snapshot = saved.snapshot if saved else None
    # the first message of a life brings all that ever crossed its edge
    books = snapshot.mass if snapshot else None
    return OutgoingState(
        name=me.name,
        state=state,
        staying=tuple(segment for segment in whole.spec.segments if not segment.shared),
        payload_bytes=_bytes(experiment, state.spec, keeps_books=books is not None),
        receivers=schedule_of(loaded).row(me.name, snapshot.round if snapshot else 0).receivers,
        receipt=snapshot.receipt if snapshot else Receipt(),
        step=snapshot.step if snapshot else 0,
        protection=experiment.protection.kind,
    )


def _bytes(experiment: Experiment, spec: AdapterSpec, *, keeps_books: bool) -> int:
    if experiment.protection.kind == "homomorphic":
        # the word, and a hop
        return 1 + most_bytes(spec.size) + SEAL_BYTES
    if experiment.protection.kind == "masked":
        return ring_of(experiment.protection).words.itemsize * spec.size
    if keeps_books:
        return WHOLE.sizes(spec)[-1] + FLOW_BYTES * spec.size
    return build_codec(experiment.gossip).sizes(spec)[-1]
