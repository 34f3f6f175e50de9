"""Everything one node needs to train, put together in the order in which mistakes are cheapest.

records ─> account ─> plan ─> model, adapter ─> tokens ─> per-sample check ─> mechanism ─> learner
                              └─ Resident: once, also for many nodes in one process
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch

from gossipfl.config.experiment import Experiment
from gossipfl.config.training import TrainingConfig
from gossipfl.errors import ConfigError
from gossipfl.learning.adapters import Adapted, attach
from gossipfl.learning.books import Books, RunTerms, open_books
from gossipfl.learning.checkpointing import checkpoint_activations, refuse_hooks
from gossipfl.learning.context import check_length, cut_notice
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
from gossipfl.learning.personal import tuner_of
from gossipfl.learning.placing import is_placed, loading_on
from gossipfl.learning.rehearsal import rehearsal
from gossipfl.learning.tasks import Task, make_task
from gossipfl.privacy.account import Account
from gossipfl.privacy.ledger import LedgerAccount
from gossipfl.privacy.mechanisms import Mechanism, MechanismParts, build_mechanism
from gossipfl.privacy.plan import Plan
from gossipfl.privacy.self_check import EXAMPLES, choose_engine
from gossipfl.privacy.sources import ENGINES, UnitSource
from gossipfl.privacy.streams import SecretStream, SeededStream, Stream

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Bench:
    """One node's bench to train at. Close it when training is over.

    Attributes:
        learner: trains and evaluates.
        mechanism: the learner's, for a driver that computes many nodes' gradients in one pass.
        adapted: the model with its adapter.
        data: tokenized, on the device.
        plan: noise and ε; None without privacy.
        account: what the data has spent.
        private: nobody can know noise and batches; false for seeded streams and without privacy.
        tuner: trains the node's own model behind the last exchange; None without `personal.phases`.
    """

    learner: Learner
    mechanism: Mechanism
    adapted: Adapted
    data: NodeData
    plan: Plan | None
    account: Account
    private: bool
    tuner: Learner | None = None

    @property
    def training(self) -> TrainingConfig:
        """How this node trains."""
        return self.adapted.experiment.training

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
            # of a single example twice the same
            rows = train.together(np.arange(EXAMPLES) % train.units).first(EXAMPLES)
            engine = choose_engine(wished, parts.module, parts.losses, rows)
            refuse_hooks(parts.module, engine)
            self._source = ENGINES[engine](parts.module, parts.losses)
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

    def at(self, experiment: Experiment) -> "Resident":
        """The same model for a node that trains it in another way."""
        return replace(self, adapted=replace(self.adapted, experiment=experiment))


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
    return learner_for(resident, site, terms, alter(records), books=books)


def load_resident(experiment: Experiment, site: DataSite, test: Sequence[Record] | None) -> Resident:
    """The experiment's model on its device, with the common test set.

    Args:
        site: of any node of the experiment.
        test: the records of the common test set, see `load_fleet_records`.

    Raises:
        UserError: see `load_adapted`; no such device; or a test record comes to no token.
    """
    device = choose_device(experiment.training)
    with loading_on(device, experiment.model):
        adapted = load_adapted(experiment, site)
    if not is_placed(experiment.model):
        adapted.module.to(device)
    examples = make_test(experiment, test, adapted.reader)
    task = make_task(experiment.task, autocast=autocast_type(experiment.training, device))
    return Resident(adapted, task, device, examples.to(device) if examples is not None else None)


@dataclass(frozen=True, slots=True)
class Rig:
    """What an audit changes at a bench.

    Attributes:
        parts: of the mechanism, complete, to what it is built from instead.
        mechanism: what was built, to what the learner is given instead.
    """

    parts: Callable[[MechanismParts], MechanismParts]
    mechanism: Callable[[Mechanism], Mechanism]


NO_RIG = Rig(parts=lambda parts: parts, mechanism=lambda mechanism: mechanism)


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
    try:
        data = tokenize_node(experiment, records, adapted.reader, test=resident.test).to(resident.device)
        if notice := cut_notice((data.train, data.held_out), experiment.task):
            logger.info("node %s: %s", site.node, notice)
        parts = _parts(adapted, resident.task, data.train, books, _streams(experiment, site, terms))
        parts = replace(parts, pairs=terms.pairs)
        if experiment.privacy.level == "example":
            parts = replace(parts, source=resident.unit_source.checked(parts, experiment.privacy.engine, data.train))
        parts = rig.parts(parts)
        mechanism = rig.mechanism(build_mechanism(experiment.privacy.level, parts))
        working = _learner_parts(adapted, resident.task, mechanism, parts, data.train)
        learner, tuner = Learner(working), tuner_of(working, parts, data.held_out)
    except BaseException:
        books.close()
        raise
    private = books.plan is not None and terms.streams == "secret"
    return Bench(learner, mechanism, adapted, data, books.plan, books.account, private, tuner)


def load_adapted(experiment: Experiment, site: DataSite) -> Adapted:
    """The experiment's model with its adapter attached, on the CPU.

    Raises:
        ModelError: see `load_base` and `attach`.
        ConfigError: `task.max_length` is beyond the model, or answers for `task.metrics` are.
    """
    base = load_base(experiment.model, experiment.task, folder=site.folder, seed=experiment.seed)
    check_length(base.module, experiment.task.max_length)
    if experiment.task.metrics:
        # sacreBLEU and generation are for those who wish them
        from gossipfl.learning.answers import check_answering  # noqa: PLC0415

        check_answering(base.module, experiment.task)
    basis = experiment.adapter.basis
    adapted = attach(base, experiment, basis=None if basis is None else site.folder / basis)
    if experiment.model.keep_below:
        # a builtin model has nothing to keep, and does without what this imports
        from gossipfl.learning.below import keep_below  # noqa: PLC0415

        keep_below(adapted)
    if experiment.training.gradient_checkpointing:
        checkpoint_activations(adapted.module)
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


def _learner_parts(
    adapted: Adapted, task: Task, mechanism: Mechanism, parts: MechanismParts, train: Examples
) -> LearnerParts:
    units, rehearse = float(min(parts.batch_size, parts.units)), rehearsal(adapted.experiment, parts, train)
    return LearnerParts(adapted, task, mechanism, parts.account, units, rehearse)
