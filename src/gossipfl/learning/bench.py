"""Everything one node needs to train, put together in the order in which mistakes are cheapest.

records ─> account ─> plan ─> model, adapter ─> tokens ─> per-sample check ─> mechanism ─> learner
                              └─ Resident: once, also for many nodes in one process
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import nn

from gossipfl.config.experiment import Experiment
from gossipfl.errors import ConfigError
from gossipfl.learning.adapters import Adapted, attach
from gossipfl.learning.books import Books, RunTerms, open_books
from gossipfl.learning.continual import Sampling, sampling_of
from gossipfl.learning.data import (
    DataSite,
    Examples,
    NodeData,
    NodeRecords,
    load_fleet_records,
    make_test,
    tokenize_node,
)
from gossipfl.learning.data.records import Record
from gossipfl.learning.device import autocast_type, choose_device
from gossipfl.learning.learner import Learner, LearnerParts
from gossipfl.learning.models import load_base
from gossipfl.learning.tasks import Task, make_task
from gossipfl.privacy.account import Account
from gossipfl.privacy.ledger import LedgerAccount
from gossipfl.privacy.mechanisms import Mechanism, MechanismParts, build_mechanism
from gossipfl.privacy.plan import Plan
from gossipfl.privacy.self_check import EXAMPLES, choose_engine
from gossipfl.privacy.sources import ENGINES, UnitSource
from gossipfl.privacy.streams import SecretStream, SeededStream, Stream


@dataclass(slots=True)
class Bench:
    """One node's bench to train at. Close it when training is over; only `learning.growing` changes it.

    Attributes:
        learner: trains and evaluates.
        mechanism: the learner's, for a driver that computes many nodes' gradients in one pass.
        adapted: the model with its adapter.
        data: tokenized, on the device.
        plan: noise and ε; None without privacy.
        account: what the data has spent.
        private: nobody can know noise and batches; false for seeded streams and without privacy.
        place: what it was made at and for.
    """

    learner: Learner
    mechanism: Mechanism
    adapted: Adapted
    data: NodeData
    plan: Plan | None
    account: Account
    private: bool
    place: "Workplace"

    def close(self) -> None:
        """Gives the ledger free."""
        if isinstance(self.account, LedgerAccount):
            self.account.close()


class CheckedSource:
    """The source of unit gradients at one model: chosen and checked when the first node needs it, shared by all."""

    def __init__(self) -> None:
        self._source: UnitSource | None = None

    @property
    def chosen(self) -> UnitSource | None:
        """The source, once a node has needed it; None without privacy."""
        return self._source

    def checked(self, parts: MechanismParts, wished: str, train: Examples) -> UnitSource:
        """The source whose gradients are right on two examples.

        Args:
            wished: `privacy.engine`.

        Raises:
            PrivacyError: there is none.
        """
        if self._source is None:
            rows = next(train.rows_in_order(EXAMPLES))
            self._source = ENGINES[choose_engine(wished, parts.module, parts.losses, rows)](parts.module, parts.losses)
        return self._source


@dataclass(frozen=True, slots=True)
class Resident:
    """One model in memory at which any number of learners work in turn.

    Attributes:
        adapted: the model with its adapter, on the device.
        task: its losses.
        device: where it lies.
        test: the common test set, on the device; None without one.
        unit_source: of unit gradients, under privacy.
    """

    adapted: Adapted
    task: Task
    device: torch.device
    test: Examples | None
    unit_source: CheckedSource = field(default_factory=CheckedSource)


Alter = Callable[[NodeRecords], NodeRecords]
"""What is trained on in place of a node's records; the account is that of the records themselves."""


def build_learner(
    experiment: Experiment, site: DataSite, terms: RunTerms, *, alter: Alter = lambda records: records
) -> Bench:
    """Reads data and model, opens the account, plans the noise, checks per-sample gradients.

    Args:
        alter: of attackers.

    Raises:
        UserError: whatever is wrong with data, model, privacy plan or ledger, before anything is trained.
    """
    if experiment.data.canaries is not None and terms.streams == "secret":
        # copies are units of their own: the ε of one would say nothing of a record that is there ten times
        raise ConfigError("data.canaries is for audits in the simulator: a real node trains on its data as it is")
    fleet = load_fleet_records(experiment, [site])
    records = fleet.nodes[site.node]
    books = open_books(experiment, site, terms, records)
    try:
        resident = load_resident(experiment, site, fleet.test)
    except BaseException:
        books.close()
        raise
    return learner_for(resident, site, terms, records, books=books, rig=replace(NO_RIG, records=alter))


def load_resident(experiment: Experiment, site: DataSite, test: Sequence[Record] | None) -> Resident:
    """The experiment's model on its device, with the common test set.

    Args:
        site: of any node of the experiment.
        test: the records of the common test set, see `load_fleet_records`.

    Raises:
        UserError: see `load_adapted`; no such device; or a test record comes to no token.
    """
    adapted = load_adapted(experiment, site)
    device = choose_device(experiment.training)
    adapted.module.to(device)
    examples = make_test(experiment, test, adapted.tokenizer)
    task = make_task(experiment.task, autocast=autocast_type(experiment.training, device))
    return Resident(adapted, task, device, examples.to(device) if examples is not None else None)


@dataclass(frozen=True, slots=True)
class Rig:
    """What an audit, or an attack, changes at a bench.

    Attributes:
        parts: of the mechanism, complete, to what it is built from instead.
        mechanism: what was built, to what the learner is given instead.
        records: the node's, to what is trained on in their place.
    """

    parts: Callable[[MechanismParts], MechanismParts]
    mechanism: Callable[[Mechanism], Mechanism]
    records: Alter = lambda records: records


NO_RIG = Rig(parts=lambda parts: parts, mechanism=lambda mechanism: mechanism)


@dataclass(frozen=True, slots=True)
class Workplace:
    """What a bench is made at, and for; see `learner_for`."""

    resident: Resident
    site: DataSite
    terms: RunTerms
    rig: Rig

    def tokenized(self, records: NodeRecords) -> NodeData:
        """The node's records as the model reads them, on its device.

        Raises:
            DataError: a record comes to no token.
        """
        resident, adapted = self.resident, self.resident.adapted
        found = self.rig.records(records)
        return tokenize_node(adapted.experiment, found, adapted.tokenizer, test=resident.test).to(resident.device)

    def learner_parts(self, data: NodeData, books: Books, sampling: Sampling) -> LearnerParts:
        """What a learner is made from.

        Raises:
            UserError, RuntimeError: see `learner_for`.
        """
        resident, adapted = self.resident, self.resident.adapted
        experiment = adapted.experiment
        parts = _parts(adapted, resident.task, data.train, books, _streams(experiment, self.site, self.terms))
        parts = replace(parts, pairs=self.terms.pairs, shares=sampling.shares)
        if experiment.privacy.level == "example":
            parts = replace(parts, source=resident.unit_source.checked(parts, experiment.privacy.engine, data.train))
        parts = self.rig.parts(parts)
        mechanism = self.rig.mechanism(build_mechanism(experiment.privacy.level, parts))
        units = min(float(parts.batch_size), sampling.weight(parts.units))
        return LearnerParts(adapted, resident.task, mechanism, parts.account, units, sampling.proximal_mu)


def learner_for(
    resident: Resident,
    site: DataSite,
    terms: RunTerms,
    records: NodeRecords,
    *,
    books: Books | None = None,
    rig: Rig = NO_RIG,
) -> Bench:
    """One node's bench at a model in memory; model, task and test set are shared, everything else is the node's own.

    Args:
        records: the node's, see `load_fleet_records`.
        books: closed with the bench; None opens them.
        rig: what an audit changes.

    Raises:
        UserError: whatever is wrong with the privacy plan, the ledger or the gradients of single examples.
        RuntimeError: level example, and another learner's per-sample hooks are on the module.
    """
    adapted, experiment = resident.adapted, resident.adapted.experiment
    books = books or open_books(experiment, site, terms, records)
    place = Workplace(resident, site, terms, rig)
    try:
        data = place.tokenized(records)
        parts = place.learner_parts(data, books, sampling_of(experiment, records))
        learner = Learner(parts)
    except BaseException:
        books.close()
        raise
    private = books.plan is not None and terms.streams == "secret"
    return Bench(learner, parts.mechanism, adapted, data, books.plan, books.account, private, place)


def load_adapted(experiment: Experiment, site: DataSite) -> Adapted:
    """The experiment's model with its adapter attached, on the CPU.

    Raises:
        ModelError: see `load_base` and `attach`.
        ConfigError: `task.max_length` is beyond the model.
    """
    base = load_base(experiment.model, experiment.task, folder=site.folder, seed=experiment.seed)
    _check_length(base.module, experiment.task.max_length)
    basis = experiment.adapter.basis
    adapted = attach(base, experiment, basis=None if basis is None else site.folder / basis)
    if experiment.model.keep_below:
        # a builtin model has nothing to keep, and does without what this imports
        from gossipfl.learning.below import keep_below  # noqa: PLC0415

        keep_below(adapted)
    return adapted


def _streams(experiment: Experiment, site: DataSite, terms: RunTerms) -> tuple[Stream, Stream]:
    """Of noise (without privacy: of dropout) and of batches."""
    if terms.streams == "secret" and experiment.privacy.level != "none":
        return SecretStream(), SecretStream()
    noise, batches = (SeededStream(experiment.seed, site.node, f"{use}{terms.lot}") for use in ("noise", "batches"))
    return noise, batches


def _parts(
    adapted: Adapted, task: Task, train: Examples, books: Books, streams: tuple[Stream, Stream]
) -> MechanismParts:
    training = adapted.experiment.training
    return MechanismParts(
        module=adapted.module,
        losses=task.losses,
        load=partial(train.load, micro_batch=training.micro_batch),
        units=train.units,
        batch_size=training.batch_size,
        plan=books.plan,
        account=books.account,
        noise=streams[0],
        batches=streams[1],
    )


def _check_length(module: nn.Module, wished: int) -> None:
    most = getattr(getattr(module, "config", None), "max_position_embeddings", None)
    if isinstance(most, int) and wished > most:
        raise ConfigError(f"task.max_length {wished} is beyond the model, which takes {most} tokens")
