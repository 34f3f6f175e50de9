"""Everything one node needs to train, put together in the order in which mistakes are cheapest.

records ─> account ─> plan ─> model, adapter ─> tokens ─> per-sample check ─> mechanism ─> learner
                              └─ Resident: once, also for many nodes in one process
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gossipfl.config.experiment import Experiment
from gossipfl.config.training import TrainingConfig
from gossipfl.errors import ConfigError
from gossipfl.learning.adapters import Adapted, attach
from gossipfl.learning.books import Books, RunTerms, open_books
from gossipfl.learning.checkpointing import checkpoint_activations
from gossipfl.learning.context import check_length
from gossipfl.learning.continual import sampling_of
from gossipfl.learning.data import (
    DataSite,
    NodeData,
    NodeRecords,
    load_fleet_records,
    make_test,
)
from gossipfl.learning.data.records import Record
from gossipfl.learning.device import autocast_type, choose_device
from gossipfl.learning.learner import Learner
from gossipfl.learning.models import load_base
from gossipfl.learning.placing import is_placed, loading_on
from gossipfl.learning.resident import Resident
from gossipfl.learning.tasks import make_task
from gossipfl.learning.workplace import NO_RIG, Alter, Rig, Workplace
from gossipfl.privacy.account import Account
from gossipfl.privacy.ledger import LedgerAccount
from gossipfl.privacy.mechanisms import Mechanism
from gossipfl.privacy.plan import Plan


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
        tuner: trains the node's own model behind the last exchange; None without `personal.phases`.
    """

    learner: Learner
    mechanism: Mechanism
    adapted: Adapted
    data: NodeData
    plan: Plan | None
    account: Account
    private: bool
    place: "Workplace"
    tuner: Learner | None = None

    @property
    def training(self) -> TrainingConfig:
        """How this node trains."""
        return self.adapted.experiment.training

    def close(self) -> None:
        """Gives the ledger free."""
        if isinstance(self.account, LedgerAccount):
            self.account.close()


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
    device = choose_device(experiment.training)
    with loading_on(device, experiment.model):
        adapted = load_adapted(experiment, site)
    if not is_placed(experiment.model):
        adapted.module.to(device)
    examples = make_test(experiment, test, adapted.reader, tokens=site.tokens)
    task = make_task(experiment.task, autocast=autocast_type(experiment.training, device))
    return Resident(adapted, task, device, examples.to(device) if examples is not None else None)


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
        tools = place.tools(data, books, sampling_of(experiment, records))
        learner = Learner(tools.parts)
    except BaseException:
        books.close()
        raise
    private = books.plan is not None and terms.streams == "secret"
    parts = tools.parts
    return Bench(learner, parts.mechanism, adapted, data, books.plan, books.account, private, place, tools.tuner)


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
