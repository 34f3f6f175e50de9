"""A stopped node's state directory with a ledger, a log and common checkpoints, made without training."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tests.node.study import Study, make_study

from gossipfl.config.loading import load_peers
from gossipfl.core.common import Plan, Statement, federation_of
from gossipfl.core.messages import Receipt
from gossipfl.core.snapshot import Snapshot
from gossipfl.net.identity import load_identity
from gossipfl.net.pinning import Trust
from gossipfl.node.checkpoint import Saved, load_latest, save_checkpoint
from gossipfl.node.common_files import CommonFiles
from gossipfl.node.state_directory import StateDirectory
from gossipfl.node.vouching import Certified
from gossipfl.privacy.accounting import Charge
from gossipfl.privacy.ledger import open_account
from gossipfl.privacy.ledger_link import write_ledger_link
from gossipfl.privacy.ledger_opening import AccountRequest
from gossipfl.privacy.publications import PublicationLog
from gossipfl.privacy.publishing import Publisher
from gossipfl.privacy.signing import Signer
from gossipfl.state import AdapterSpec, AdapterState, Segment

SPEC = AdapterSpec((Segment("layer.R", (2, 3)), Segment("head", (4,)), Segment("personal", (2,), shared=False)))
FINGERPRINT = {"model": "m", "gossip": "g", "schedule": "s"}
REQUEST = AccountRequest([b"x"], 1e-5, "rdp", None, False, None, "run", "ada")


@dataclass(frozen=True, slots=True)
class Standing:
    """Of the node ada, whose only neighbor is bob."""

    study: Study

    @property
    def path(self) -> Path:
        return self.study.state("ada")

    @property
    def ledger(self) -> Path:
        return self.study.folder / "ledger.sqlite"

    @property
    def saved(self) -> Saved:
        found = load_latest(self.path)
        assert found is not None
        return found

    def certified(self, name: str) -> Certified:
        """Who signs as that node."""
        loaded = load_peers(self.study.peers)
        node = next(each for each in loaded.peers.nodes if each.name == name)
        identity = load_identity(loaded.peers, loaded.folder, node, neighbors=())
        return Certified(identity, Signer.from_pem(identity.key), Trust(identity))

    def begin(self) -> None:
        """A node that has trained nothing."""
        with StateDirectory(self.path) as directory:
            directory.check_experiment(FINGERPRINT, "")
        write_ledger_link(self.path, self.ledger)
        state = AdapterState(SPEC, np.zeros(SPEC.size, np.float32))
        save_checkpoint(self.path, Saved(Snapshot(state, state), {}))

    def train(self) -> Receipt:
        """One phase: charged, saved, published, as a node does it."""
        before = self.saved
        account = open_account(self.ledger, REQUEST)
        try:
            receipt = account.charge(Charge(0.01, 1.0))
            vector = np.random.default_rng(receipt.charges).normal(size=SPEC.size).astype(np.float32)
            now, state = before.snapshot, AdapterState(SPEC, vector)
            snapshot = replace(now, state=state, unmixed=state, phase=now.phase + 1, step=now.step + 1, receipt=receipt)
            save_checkpoint(self.path, replace(before, snapshot=snapshot))
            with PublicationLog(self.path / "publications.jsonl", self._signer) as log:
                log.append([("bob", Publisher(account).clear(state, receipt))])
        finally:
            account.close()
        return receipt

    def keep(self, *, stated_by: Sequence[str] = ("ada", "bob")) -> Plan:
        """The present state becomes a common checkpoint."""
        saved, files = self.saved, CommonFiles(self.path)
        now = saved.snapshot
        plan = Plan(federation_of(FINGERPRINT), saved.branch, now.phase, ("ada", "bob"), stops=False, asked_by="ada")
        files.write(plan, papers := [self.certified("ada").paper(plan.text)])
        digest = files.keep(plan, saved)
        for name in stated_by:
            said = Statement(
                plan.digest,
                plan.federation,
                name,
                now.phase,
                now.step,
                now.state.sharing().digest(),
                digest,
                now.receipt.charges,
                now.receipt.head,
            )
            papers.append(self.certified(name).paper(said.text))
        files.write(plan, papers)
        return plan

    @property
    def _signer(self) -> Signer:
        return Signer.from_pem((self.study.folder / "certs" / "ada.key").read_bytes())


def standing(folder: Path) -> Standing:
    """A node that has begun."""
    made = Standing(make_study(folder, folder / "no-model", names=("ada", "bob")))
    made.begin()
    return made
