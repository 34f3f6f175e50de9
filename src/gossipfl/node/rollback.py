"""Takes one node back to a checkpoint that all have signed; done by its operator while it is stopped.

verify ──> publication log says so ──> run is no longer finished ──> checkpoint replaced, with its branch ──> done
           (signed, durable)                                         (one rename: state and branch are one)

Killed anywhere in between, the same command goes on. What was published stays published and is not unlearned; the
privacy ledger is read, to see that it covers the state, and never written: what was paid stays paid.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gossipfl.config.loading import LoadedPeers, load_peers, resolve_self
from gossipfl.core.common import Gathered, Plan, Statement, branch_after, federation_of, gather
from gossipfl.core.papers import Paper
from gossipfl.errors import ConfigError, LedgerError, StateError
from gossipfl.net.identity import load_identity
from gossipfl.net.pinning import Trust
from gossipfl.node.assembly import state_dir_of
from gossipfl.node.checkpoint import Saved, load_latest, save_checkpoint
from gossipfl.node.common_files import CommonFiles, read_signed
from gossipfl.node.state_directory import StateDirectory
from gossipfl.node.vouching import Certified
from gossipfl.privacy.ledger_link import read_ledger_link
from gossipfl.privacy.ledger_store import LedgerStore
from gossipfl.privacy.publications import PublicationLog, Rollback
from gossipfl.privacy.signing import Signer

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RollbackRequest:
    """What the command line asks for.

    Attributes:
        peers: peers.yaml.
        to: phase, or phase and plan: 6 or 6-1a2b3c4d.
        name, state_dir: of the node; defaults as for `gossipfl node`.
        statements: signed.jsonl of other nodes, for what this one has not heard.
    """

    peers: Path
    to: str
    name: str | None = None
    state_dir: Path | None = None
    statements: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class RolledBack:
    """What was done.

    Attributes:
        name: the node.
        plan: of the common checkpoint.
        phase, step: where the node is now.
        state: digest of what it would publish.
        branch: by which it greets.
        already: nothing had to be done.
        gone: who has signed for that checkpoint, or should have, and is not in peers.yaml any more.
        apart: who kept the state of another phase, and of which.
    """

    name: str
    plan: str
    phase: int
    step: int
    state: str
    branch: str
    already: bool
    gone: tuple[str, ...]
    apart: Mapping[str, int]


def roll_back(request: RollbackRequest) -> RolledBack:
    """Rolls a stopped node back.

    Raises:
        StateError: the node runs, there is no such checkpoint, or it is not whole, not this node's, or damaged.
        LedgerError: the ledger or the log of publications does not hold what was signed, or was altered.
        CertificateError: nothing says who signed.
    """
    loaded = load_peers(request.peers)
    me = resolve_self(loaded.peers, request.name, os.environ)
    identity = load_identity(loaded.peers, loaded.folder, me, neighbors=(), insecure=False)
    path = request.state_dir or state_dir_of(loaded, me)
    if not path.is_dir():
        raise StateError(f"{path}: there is no such state directory, and so nothing to roll back")
    signer = Signer.from_pem(identity.key)
    with StateDirectory(path) as directory:
        files = CommonFiles(path)
        certified = Certified(identity, signer, Trust(identity))
        key = _key(files, request.to)
        gathered = _gathered(files.signed(key), request.statements, certified)
        own = _checked(gathered, loaded, me.name, directory)
        saved, digest = files.kept(key)
        _check_state(saved, digest, own)
        _check_ledger(own, path)
        with PublicationLog(directory.publications, signer) as log:
            branch, already = _replace(directory, log, saved, own, gathered.plan)
    return _done(own, gathered, loaded, branch, already=already)


def _key(files: CommonFiles, wanted: str) -> str:
    keys = files.keys()
    found = [key for key in keys if key == wanted or key.partition("-")[0] == wanted]
    if len(found) == 1:
        return found[0]
    there = ", ".join(keys) or "none"
    if found:
        raise ConfigError(f"--to {wanted}: there are several, name one: {', '.join(found)}")
    raise StateError(f"--to {wanted}: no such common checkpoint in {files.path}; there are: {there}")


def _gathered(path: Path, others: Sequence[Path], certified: Certified) -> Gathered:
    papers: list[Paper] = [paper for each in (path, *others) for paper in read_signed(each)]
    try:
        gathered, refused = gather(papers, certified.has_written)
    except ValueError as error:
        raise StateError(f"{path}: {error}") from error
    for place, why in refused.items():
        logger.warning("%s, %s does not count: %s", path, place, why)
    return gathered


def _checked(gathered: Gathered, loaded: LoadedPeers, name: str, directory: StateDirectory) -> Statement:
    """This node's statement, where all have signed that are in peers.yaml still, for its own federation."""
    plan, names = gathered.plan, {*loaded.names}
    missing = [each for each in gathered.missing if each in names]
    if missing:
        raise StateError(
            f"the common checkpoint {plan.key} is not whole: {', '.join(missing)} did not sign, as far as this node "
            "has heard; give what another node has (its signed.jsonl) by --statements"
        )
    if federation_of(directory.fingerprint()) != plan.federation:
        raise StateError(f"the common checkpoint {plan.key} is of another federation: model, adapter or gossip differ")
    own = gathered.statements.get(name)
    if own is None:
        raise StateError(f"the common checkpoint {plan.key} has no statement of {name}")
    return own


def _check_state(saved: Saved, digest: str, own: Statement) -> None:
    snapshot = saved.snapshot
    found = (digest, snapshot.state.sharing().digest(), snapshot.phase, snapshot.step)
    if found != (own.checkpoint, own.state, own.phase, own.step):
        raise StateError("the state that this node kept is not the one it has signed: it was altered or replaced")


def _check_ledger(own: Statement, state_dir: Path) -> None:
    """The ledger holds what was paid for the state: it was not taken back."""
    if not own.charges:
        return
    ledger = read_ledger_link(state_dir)
    store = LedgerStore(ledger, read_only=True)
    try:
        held = store.hash_of_charge(own.charges)
    finally:
        store.close()
    if held != own.head:
        raise LedgerError(
            f"the ledger {ledger} does not hold the {own.charges} charges that were signed with the state: it went back"
        )


def _replace(
    directory: StateDirectory, log: PublicationLog, saved: Saved, own: Statement, plan: Plan
) -> tuple[str, bool]:
    """Branch from now on, and whether all of this was done before."""
    now = load_latest(directory.path)
    before = now.branch if now else ""
    said = log.rolled_back
    # the line is there: this very rollback was begun, and nothing was published since
    again = said is not None and said.plan == plan.digest and said.branch in {before, branch_after(before, plan)}
    branch = said.branch if said is not None and again else branch_after(before, plan)
    if again and now is not None and now.branch == branch and _same(now, saved):
        return branch, True
    if not again:
        log.note_rollback(Rollback(plan.digest, own.phase, own.state, branch))
    directory.forget_finish()
    save_checkpoint(directory.path, Saved(saved.snapshot, saved.optimizer, branch))
    return branch, False


def _same(now: Saved, saved: Saved) -> bool:
    ours, theirs = now.snapshot, saved.snapshot
    return (ours.phase, ours.step, ours.round) == (
        theirs.phase,
        theirs.step,
        theirs.round,
    ) and ours.state == theirs.state


def _done(own: Statement, gathered: Gathered, loaded: LoadedPeers, branch: str, *, already: bool) -> RolledBack:
    return RolledBack(
        name=own.node,
        plan=gathered.plan.key,
        phase=own.phase,
        step=own.step,
        state=own.state,
        branch=branch,
        already=already,
        gone=tuple(name for name in gathered.plan.nodes if name not in loaded.names),
        apart=gathered.apart,
    )
