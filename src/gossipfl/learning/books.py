"""What training on a node's records may cost: the account of the data, and the plan of this run."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gossipfl.config.experiment import Experiment
from gossipfl.errors import BudgetSpentError
from gossipfl.learning.data import DataSite, NodeRecords
from gossipfl.privacy.account import Account, FreeAccount
from gossipfl.privacy.ledger import LedgerAccount, open_account
from gossipfl.privacy.ledger_location import ledger_path
from gossipfl.privacy.ledger_opening import AccountRequest
from gossipfl.privacy.pairs.terms import PairTerms
from gossipfl.privacy.plan import Plan, delta_for, plan_for_all, spent_plan

logger = logging.getLogger(__name__)
Streams = Literal["secret", "seeded"]


@dataclass(frozen=True, slots=True)
class RunTerms:
    """On what terms a run uses the node's data.

    Attributes:
        run: names the run, equal after every restart of it.
        ledger: the node's own `ledger` in peers.yaml; None goes by `privacy.ledger`, else beside the data.
        new_account: reason for a fresh account on known data.
        streams: secret on a real node; seeded in the simulator and in tests: repeatable and not private.
        pairs: of level correlated: with whom noise is shared.
        lot: tells seeded noise and batches of one run from those of another of the same seed.
    """

    run: str
    ledger: str | None = None
    new_account: str | None = None
    streams: Streams = "secret"
    pairs: PairTerms | None = None
    lot: str = ""


@dataclass(frozen=True, slots=True)
class Books:
    """What training may cost.

    Attributes:
        account: what the data has spent.
        plan: noise and ε of this run; None without privacy.
    """

    account: Account
    plan: Plan | None

    def close(self) -> None:
        """Gives the ledger free."""
        if isinstance(self.account, LedgerAccount):
            self.account.close()


def open_books(experiment: Experiment, site: DataSite, terms: RunTerms, records: NodeRecords) -> Books:
    """The account of these records and the plan of this run; free and none at level none.

    Guarantees:
        A budget that is spent is no mistake: the account is sealed, and training ends before its first step.

    Raises:
        PrivacyError: δ is too large, no noise reaches the target, or the ledger cannot be used.
    """
    privacy, units = experiment.privacy, len(records.train)
    if privacy.level == "none":
        return Books(FreeAccount(), None)
    request = AccountRequest(
        tags=records.tags,
        delta=delta_for(privacy.target_delta, units),
        accountant=privacy.accountant,
        target_epsilon=privacy.target_epsilon,
        public=privacy.public_data,
        new_account=terms.new_account,
        run=terms.run,
        node=site.node,
        level=privacy.level,
        units=records.unit_tags,
    )
    account = open_account(ledger_file(experiment, site, terms.ledger), request)
    try:
        return Books(account, _plan(experiment, account, units, terms.pairs))
    except BaseException:
        account.close()
        raise


def _plan(experiment: Experiment, account: LedgerAccount, units: int, pairs: PairTerms | None) -> Plan:
    privacy, pasts = experiment.privacy, account.charges_before()
    try:
        plan = plan_for_all(privacy, experiment.charged_training, units=units, pasts=pasts, pairs=pairs)
        per_phase = 1 if privacy.releases_phases else experiment.training.local_steps
        account.plan(plan.charge(plan.steps), every=per_phase)
    except BudgetSpentError as error:
        logger.warning("%s: this node mixes and serves, and does not train", error)
        account.seal(str(error))
        return spent_plan(privacy, units=units, pasts=pasts, pairs=pairs)
    return plan


def ledger_file(experiment: Experiment, site: DataSite, own: str | None) -> Path:
    """Where the account of a node's data lies: as the node says, as the experiment says, or by the data's place."""
    if own is not None:
        return ledger_path(None, site.data_folder, own)
    if experiment.privacy.ledger is not None:
        return ledger_path(None, site.folder, experiment.privacy.ledger)
    if site.source is not None:
        return ledger_path(site.source, site.data_folder, None)
    return ledger_path(experiment.data.source, site.folder, None, split=True)
