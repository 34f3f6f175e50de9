"""May two nodes gossip: every reason why not is found at the first greeting, and named.

Compared in this order: protocol version (adjacent ones interoperate), what the run was rolled back to, fingerprint by
component, public basis, topology, codecs.
The fingerprint holds only what must agree, never data, device, batch size or addresses.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from gossipfl.core.common import BRANCH, rolled_back
from gossipfl.errors import HandshakeError

PROTOCOL_VERSION = 1
BASIS_TOLERANCE = 1e-4
"""Singular vectors are not bit-equal across machines and thread counts."""
LAST_LIFE = 2**62
"""Incarnations above it are nobody's: who believed one could not count on from it."""
_SHOWN = 16
"""A peer's text is cut to this many characters in our messages."""


@dataclass(frozen=True, slots=True)
class LedgerHead:
    """How far a privacy ledger is.

    Attributes:
        charges: entries in the ledger; never falls.
        hash: of the last entry, hex; chained over all before it.
        incarnation: of the node that signed.
        signature: over the other three, with the key of the node's certificate; verified by `privacy`.
    """

    charges: int
    hash: str
    incarnation: int
    signature: bytes


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a node says first on every link.

    Attributes:
        protocol_version: of the wire.
        name: the node's.
        fingerprint: hash by component (model, adapter, basis, head, labels, gossip, …), and the branch of a run that
            was rolled back.
        basis_sketch: of the public basis when no basis file is used, else empty.
        codecs: this node can decode these; the one it sends first.
        incarnation: life of the node, from 1.
        seen_incarnation: the highest of the receiver's lives this node has seen; 0: none.
        topology_version: of the schedule.
        ledger_head: how far the node's ledger is; None without privacy.
        noise_key: public half of this life's key for noise shared with the receiver; empty where none is shared.
        trace_seed: what traces of this life are named by; of any length, nobody has looked at it; empty: it has none.
    """

    protocol_version: int
    name: str
    fingerprint: Mapping[str, str]
    basis_sketch: tuple[float, ...]
    codecs: tuple[str, ...]
    incarnation: int
    seen_incarnation: int
    topology_version: int
    ledger_head: LedgerHead | None
    noise_key: bytes = b""
    trace_seed: bytes = b""


def check_greeting(ours: Greeting, theirs: Greeting) -> None:
    """Returns if the two may exchange states.

    Raises:
        HandshakeError: its message names what differs; its reason is version, incarnation, branch, fingerprint, basis,
            topology or codec.
    """
    if abs(ours.protocol_version - theirs.protocol_version) > 1:
        versions = f"protocol version {theirs.protocol_version} there, {ours.protocol_version} here"
        raise _refusal(theirs, "version", f"{versions}; adjacent ones interoperate")
    life = max(theirs.incarnation, theirs.seen_incarnation)
    if life > LAST_LIFE:
        raise _refusal(theirs, "incarnation", f"a life number of {life}, at most {LAST_LIFE} was expected")
    _check_branch(ours, theirs)
    _check_fingerprint(ours, theirs)
    if not _basis_agrees(ours.basis_sketch, theirs.basis_sketch):
        raise _refusal(
            theirs, "basis", f"the public basis differs by more than {BASIS_TOLERANCE}; share basis.safetensors"
        )
    if ours.topology_version != theirs.topology_version:
        versions = f"topology version {theirs.topology_version} there, {ours.topology_version} here"
        raise _refusal(theirs, "topology", versions)
    if not set(ours.codecs) & set(theirs.codecs):
        raise _refusal(theirs, "codec", f"no common codec: {_cut(theirs.codecs)} there, {_cut(ours.codecs)} here")


def _check_branch(ours: Greeting, theirs: Greeting) -> None:
    here, there = ours.fingerprint.get(BRANCH, ""), theirs.fingerprint.get(BRANCH, "")
    if here != there:
        raise _refusal(
            theirs,
            "branch",
            f"the run was {rolled_back(there)!r} there, {rolled_back(here)!r} here; roll all nodes back to the same "
            "common checkpoint (gossipfl rollback)",
        )


def _check_fingerprint(ours: Greeting, theirs: Greeting) -> None:
    # our order first, then whatever the peer adds
    components = [*ours.fingerprint, *(name for name in theirs.fingerprint if name not in ours.fingerprint)]
    there, here = theirs.fingerprint.get, ours.fingerprint.get
    differing = [name for name in components if there(name) != here(name)]
    if differing:
        values = [f"{name[:_SHOWN]!r} is {_cut(there(name))} there, {_cut(here(name))} here" for name in differing[:8]]
        raise _refusal(theirs, "fingerprint", f"another experiment: {'; '.join(values)}")


def _basis_agrees(ours: tuple[float, ...], theirs: tuple[float, ...]) -> bool:
    # written so that NaN disagrees
    return len(ours) == len(theirs) and all(
        math.fabs(a - b) <= BASIS_TOLERANCE for a, b in zip(ours, theirs, strict=True)
    )


def _cut(value: str | tuple[str, ...] | None) -> str:
    match value:
        case None:
            return "missing"
        case str():
            return repr(value[:_SHOWN])
        case tuple():
            return ", ".join(repr(name[:_SHOWN]) for name in value[:8]) or "none"


def _refusal(theirs: Greeting, reason: str, message: str) -> HandshakeError:
    peer = theirs.name[:63]
    return HandshakeError(f"{peer!r} refused: {message}", peer=peer, reason=reason)


class HeadWatch:
    """Keeps the highest ledger head of every peer: a node that forgets what it spent is refused.

    Heads must come in the order they were sent (after `membership.Freshness`), and with a verified signature.
    """

    def __init__(self, heads: Mapping[str, LedgerHead] | None = None) -> None:
        self._heads: dict[str, LedgerHead] = dict(heads or {})

    def accept(self, peer: str, head: LedgerHead | None) -> None:
        """Remembers a head that did not go back, see `check`."""
        self.check(peer, head)
        if head is not None:
            self._heads[peer] = head

    def check(self, peer: str, head: LedgerHead | None) -> None:
        """Returns if a head did not go back.

        Raises:
            HandshakeError: reason ledger: fewer charges than before, as many with another hash, or no head any more.
        """
        before = self._heads.get(peer)
        if before is not None:
            charges = 0 if head is None else head.charges
            if charges < before.charges or head is None:
                raise _gone_back(peer, f"{before.charges} charges were seen, now {charges}")
            if charges == before.charges and head.hash != before.hash:
                raise _gone_back(peer, f"another history of its {charges} charges")

    def heads(self) -> dict[str, LedgerHead]:
        """All heads, to go on from after a restart."""
        return dict(self._heads)


def _gone_back(peer: str, message: str) -> HandshakeError:
    return HandshakeError(f"{peer!r} refused: its privacy ledger went back: {message}", peer=peer, reason="ledger")
