"""What training on a node's records may cost: the account of the data, and the plan of this run."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gossipfl.config.experiment import Experiment
from gossipfl.errors import BudgetSpentError
from gossipfl.learning.continual import sampling_of
from gossipfl.learning.data import DataSite, NodeRecords
from gossipfl.privacy.account import Account, FreeAccount
from gossipfl.privacy.accounting import Charge
from gossipfl.privacy.ledger import LedgerAccount, open_account
from gossipfl.privacy.ledger_location import ledger_path
from gossipfl.privacy.ledger_opening import AccountRequest
from gossipfl.privacy.pairs.terms import PairTerms
from gossipfl.privacy.plan import Drawing, Plan, delta_for, plan_for_all, spent_plan
from gossipfl.privacy.spent import charged_before

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
        undo: makes the account what it was before these were opened, where it was open before.
    """

    account: Account
    plan: Plan | None
    undo: Callable[[], None] = lambda: None

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
    if experiment.privacy.level == "none":
        return Books(FreeAccount(), None)
    request = _request(experiment, site, terms, records)
    account = open_account(ledger_file(experiment, site, terms.ledger), request)
    try:
        return Books(account, _plan(experiment, account, records, terms.pairs))
    except BaseException:
        account.close()
        raise


def reopen_books(
    experiment: Experiment, site: DataSite, terms: RunTerms, records: NodeRecords, *, account: Account
) -> Books:
    """What `open_books` gives for more records, at an account that is open: between two phases.

    Args:
        account: of those of them that were there before.

    Raises:
        PrivacyError: as `open_books`; the account is what it was.
    """
    if not isinstance(account, LedgerAccount):
        return Books(account, None)
    before = account.take_in(_request(experiment, site, terms, records))
    try:
        plan = _plan(experiment, account, records, terms.pairs)
    except BaseException:
        account.put_back(before)
        raise
    return Books(account, plan, lambda: account.put_back(before))


def _request(experiment: Experiment, site: DataSite, terms: RunTerms, records: NodeRecords) -> AccountRequest:
    privacy, units = experiment.privacy, len(records.train)
    return AccountRequest(
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
        shares=_shares_by_tag(experiment, records),
    )


def _shares_by_tag(experiment: Experiment, records: NodeRecords) -> Mapping[bytes, float]:
    """How often units are drawn, by the tags that the ledger knows them by; of several units of a tag the most."""
    sampling = sampling_of(experiment, records)
    if sampling.shares is None or experiment.privacy.level != "example":
        return {}
    found: dict[bytes, float] = {}
    named = records.unit_tags or [[records.records[row].tag for row in unit] for unit in records.train]
    for tags, share in zip(named, sampling.shares.tolist(), strict=True):
        for tag in tags:
            found[tag] = max(found.get(tag, 0.0), share)
    return found


def _plan(experiment: Experiment, account: LedgerAccount, records: NodeRecords, pairs: PairTerms | None) -> Plan:
    privacy, units = experiment.privacy, len(records.train)
    pasts, drawing = _pasts(experiment, account, records)
    try:
        plan = plan_for_all(
            privacy, experiment.charged_training, units=units, pasts=pasts, pairs=pairs, drawing=drawing
        )
        per_phase = 1 if privacy.releases_phases else experiment.training.local_steps
        account.plan(plan.charge(plan.steps), every=per_phase)
    except BudgetSpentError as error:
        logger.warning("%s: this node mixes and serves, and does not train", error)
        account.seal(str(error))
        return spent_plan(privacy, units=units, pasts=pasts, pairs=pairs)
    return plan


def _pasts(
    experiment: Experiment, account: LedgerAccount, records: NodeRecords
) -> tuple[Sequence[Sequence[Charge]], Drawing | None]:
    """What parts of the data were charged before by other runs, and how often each is drawn."""
    shares = sampling_of(experiment, records).shares
    if shares is None or experiment.privacy.level != "example":
        return account.charges_before(), None
    parts = [(past, share) for share, pasts in account.pasts_by_share().items() for past in pasts]
    drawing = Drawing(float(shares.sum()), tuple(share for _, share in parts))
    return tuple(past for past, _ in parts), drawing


def planned_from(
    experiment: Experiment, records: NodeRecords, ledger: Path, *, run: str | None
) -> tuple[Sequence[Sequence[Charge]], Drawing | None]:
    """What the plan of a run would start from, without opening an account: for `gossipfl check`.

    Raises:
        PrivacyError, LedgerError: see `charged_before`.
    """
    shares, sampling = _shares_by_tag(experiment, records), sampling_of(experiment, records)
    by_share: dict[float, list[bytes]] = {}
    for tag in records.tags:
        by_share.setdefault(shares.get(tag, 1.0), []).append(tag)
    parts = [
        (past, share)
        for share, tags in by_share.items()
        for past in charged_before(ledger, tags, units=records.unit_tags, run=run, level=experiment.privacy.level)
    ]
    drawing = Drawing(sampling.weight(len(records.train)), tuple(share for _, share in parts)) if shares else None
    return tuple(past for past, _ in parts), drawing


def ledger_file(experiment: Experiment, site: DataSite, own: str | None) -> Path:
    """Where the account of a node's data lies: as the node says, as the experiment says, or by the data's place."""
    if own is not None:
        return ledger_path(None, site.data_folder, own)
    if experiment.privacy.ledger is not None:
        return ledger_path(None, site.folder, experiment.privacy.ledger)
    if site.source is not None:
        return ledger_path(site.source, site.data_folder, None)
    return ledger_path(experiment.data.source, site.folder, None, split=True)
