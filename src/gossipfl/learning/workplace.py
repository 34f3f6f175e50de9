"""Where and for whom a bench is made: what makes its tools for some data, at the start and whenever more comes."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from gossipfl.config.experiment import Experiment
from gossipfl.learning.adapters import Adapted
from gossipfl.learning.books import Books, RunTerms
from gossipfl.learning.context import cut_notice
from gossipfl.learning.continual import Sampling
from gossipfl.learning.data import (
    DataSite,
    Examples,
    NodeData,
    NodeRecords,
    own_tokens,
    tokenize_node,
)
from gossipfl.learning.learner import Learner, LearnerParts
from gossipfl.learning.personal import tuner_of
from gossipfl.learning.rehearsal import rehearsal
from gossipfl.learning.resident import Resident
from gossipfl.learning.tasks import Task
from gossipfl.privacy.mechanisms import Mechanism, MechanismParts, build_mechanism
from gossipfl.privacy.streams import SecretStream, SeededStream, Stream

logger = logging.getLogger(__name__)

Alter = Callable[[NodeRecords], NodeRecords]
"""What is trained on in place of a node's records; the account is that of the records themselves."""


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
        tokens = own_tokens(self.site)
        data = tokenize_node(adapted.experiment, found, adapted.reader, test=resident.test, tokens=tokens)
        data = data.to(resident.device)
        if notice := cut_notice((data.train, data.held_out), adapted.experiment.task):
            logger.info("node %s: %s", self.site.node, notice)
        return data

    def tools(self, data: NodeData, books: Books, sampling: Sampling) -> "Tools":
        """What works on these data.

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
        rehearse = rehearsal(experiment, parts, data.train)
        working = LearnerParts(
            adapted,
            resident.task,
            mechanism,
            parts.account,
            units,
            rehearse,
            proximal_mu=sampling.proximal_mu,
            adapters=sampling.adapters,
        )
        return Tools(working, tuner_of(working, parts, data.held_out))


@dataclass(frozen=True, slots=True)
class Tools:
    """What a bench works with on some data.

    Attributes:
        parts: of the node's learner.
        tuner: see `Bench`.
    """

    parts: LearnerParts
    tuner: Learner | None


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
