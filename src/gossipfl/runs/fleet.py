"""The learners of all nodes of a trial, at one resident model: data split once, accounts in memory, seeded noise."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from gossipfl.config.experiment import Experiment
from gossipfl.config.machines import simulated_machines
from gossipfl.config.ranks import at_rank, simulated_ranks
from gossipfl.core.messages import Clear
from gossipfl.learning.alone import lone_experiment, train_alone
from gossipfl.learning.bench import Bench, learner_for, load_resident
from gossipfl.learning.books import Books, RunTerms
from gossipfl.learning.context import cut_notice
from gossipfl.learning.data import DataSite, Examples, FleetRecords, NodeRecords, load_fleet_records, make_test
from gossipfl.learning.data.poisons import poison_fleet
from gossipfl.learning.evaluation import Evaluation
from gossipfl.learning.forgetting import Score, score_of
from gossipfl.learning.growing import take_in
from gossipfl.learning.personal import Personal, Personalized, make_personal
from gossipfl.learning.resident import Resident
from gossipfl.privacy.period_account import PeriodAccount
from gossipfl.privacy.publishing import Publisher
from gossipfl.privacy.simulated_account import SimulatedAccount
from gossipfl.runs.arrivals import Arrivals, arrivals_of, at_the_beginning
from gossipfl.runs.judging import Judgment, States
from gossipfl.runs.roster import Roster
from gossipfl.runs.simulated_books import grown_books, simulated_books, simulated_pairs
from gossipfl.state import AdapterState

logger = logging.getLogger(__name__)

SIMULATED = RunTerms(run="simulation", streams="seeded")


@dataclass(frozen=True, slots=True)
class Fleet:
    """Everything that trains and evaluates.

    Attributes:
        resident: the one model; where ranks differ one of the highest.
        benches: by node, at that model, or at the one of its rank and type of numbers.
        simulated: accounts of the nodes under privacy, those of their benches.
        tried: what shows whether a backdoor works; None without one.
        lone: makes a node's bench anew, as if it had no neighbors; None where nobody asks how good it would be alone.
        arrivals: by node, data that comes while they train; empty without `simulation.periods`.
    """

    resident: Resident
    benches: Mapping[str, Bench]
    simulated: Mapping[str, SimulatedAccount | PeriodAccount]
    tried: Examples | None = None
    lone: Callable[[str], Bench] | None = None
    arrivals: Mapping[str, Arrivals] = field(default_factory=dict)

    @property
    def initial(self) -> AdapterState:
        """Where every node starts, where ranks differ one of the highest."""
        return self.resident.adapted.initial

    def start(self, node: str) -> AdapterState:
        """Where a node starts."""
        return self.benches[node].adapted.initial

    def arrive(self, node: str, phase: int) -> None:
        """Takes in what comes to a node before a phase, and has not come yet: by the code of a real node.

        Raises:
            UserError: it cannot be trained on.
        """
        coming = self.arrivals.get(node)
        if coming is None or (due := coming.due(phase)) == coming.here:
            return
        experiment = self.benches[node].adapted.experiment
        take_in(self.benches[node], coming.sorted_out(experiment, node, due), partial(self._reopened, node))
        coming.here = due

    def arrived(self) -> dict[str, int]:
        """How many periods each node has, for a checkpoint."""
        return {node: coming.here for node, coming in self.arrivals.items()}

    def restore_arrived(self, arrived: Mapping[str, int]) -> None:
        """Takes over what `arrived` gave."""
        for node, count in arrived.items():
            self.arrive(node, self.arrivals[node].phases[count - 1])

    def _reopened(self, node: str, records: NodeRecords) -> Books:
        return grown_books(self.benches[node].adapted.experiment, records, self.benches[node].account)

    def judge(self, states: States, *, last: bool = False) -> list[Judgment]:
        """See `Judge`."""
        return [self._judgment(node, state, last=last) for node, state in states]

    def judge_mean(self, state: AdapterState, *, last: bool = False) -> Evaluation | None:
        """See `Judge`; only a common test set is the same for all."""
        if self.resident.test is None:
            return None
        module = self.resident.adapted.module
        bench = next(bench for bench in self.benches.values() if bench.adapted.module is module)
        return bench.learner.evaluate(state, self.resident.test, last=last)

    def personalize(self, states: States) -> list[Personalized]:
        """Each node's own model, made of its last mixed state; see `gossipfl.learning.personal`."""
        return [self._personalized(node, state) for node, state in states]

    def _personalized(self, node: str, state: AdapterState) -> Personalized:
        bench = self.benches[node]
        made = make_personal(bench, state)
        if self.lone is None:
            return made
        lone = self.lone(node)
        training = lone.adapted.experiment.training
        alone = train_alone(lone, phases=training.phases, local_steps=training.local_steps)
        return replace(made, models={**made.models, "alone": Personal(bench).figures(alone)})

    def accounts(self) -> dict[str, Any]:
        """State of all accounts, for a checkpoint."""
        return {name: account.state() for name, account in self.simulated.items()}

    def restore_accounts(self, states: Mapping[str, Any]) -> None:
        """Takes over what `accounts` gave."""
        for name, state in states.items():
            self.simulated[name].restore(state)

    def epsilon(self) -> float | None:
        """The largest ε of a node, exactly; None without privacy."""
        return max((account.epsilon() for account in self.simulated.values()), default=None)

    def exposed(self) -> dict[str, float] | None:
        """The largest ε of a node by adversary; None but at level correlated."""
        plans = {name: bench.plan for name, bench in self.benches.items()}
        return highest([plan.exposed(self.simulated[name].steps) for name, plan in plans.items() if plan is not None])

    def clear(self, node: str) -> Clear[AdapterState]:
        """Makes a node's states publishable."""
        return Publisher(self.benches[node].account).clear

    def close(self) -> None:
        """Nothing to give back: accounts are in memory."""

    def _judgment(self, node: str, state: AdapterState, *, last: bool) -> Judgment:
        bench = self.benches[node]
        own, test = bench.data.held_out, self.resident.test
        judged = bench.learner.evaluate(state, own, last=last) if own.rows else None
        return Judgment(
            own=judged,
            test=bench.learner.evaluate(state, test, last=last) if test is not None else None,
            trigger_success=bench.learner.hits(state, self.tried) if self.tried is not None else None,
            periods=self._by_period(node, state, judged),
        )

    def _by_period(self, node: str, state: AdapterState, own: Evaluation | None) -> tuple[Score, ...]:
        """In the order of `simulation.periods`."""
        coming, periods = self.arrivals.get(node), self.resident.adapted.experiment.simulation.periods
        if coming is None or periods is None or own is None:
            return ()
        bench = self.benches[node]
        found = [bench.learner.evaluate(state, each) for each in bench.data.by_period] or [own]
        scores = dict(zip(coming.numbers, map(score_of, found), strict=False))
        return tuple(scores.get(number) for number in range(len(periods.later) + 1))


def highest(exposed: Sequence[dict[str, float] | None]) -> dict[str, float] | None:
    """Of several nodes, by adversary; None when none has any."""
    known = [each for each in exposed if each is not None]
    return {name: max(each[name] for each in known) for name in known[0]} if known else None


Equip = Callable[[Resident, DataSite, NodeRecords, RunTerms], Bench]
"""How a node's bench is made at a model."""


def ordinary_bench(resident: Resident, site: DataSite, records: NodeRecords, terms: RunTerms) -> Bench:
    """A node's bench with an account in memory and seeded noise."""
    books = simulated_books(resident.adapted.experiment, records, terms.pairs)
    return learner_for(resident, site, terms, records, books=books)


def build_fleet(
    experiment: Experiment, roster: Roster, nodes: Sequence[str], *, equip: Equip = ordinary_bench
) -> Fleet:
    """The learners of some nodes.

    Args:
        nodes: those of this process; data is split over all.
        equip: makes their benches.

    Raises:
        UserError: whatever is wrong with data, model or privacy plan.
    """
    experiment = on_one_thread(experiment)
    sites = [DataSite(name, roster.names, None, roster.folder, roster.folder, tokens=roster.tokens) for name in nodes]
    read = load_fleet_records(experiment, sites)
    arrivals = arrivals_of(experiment, roster.names, read)
    records = poison_fleet(experiment, at_the_beginning(experiment, read, arrivals))
    own, kinds = own_experiments(experiment, nodes), dict[_Kind, Resident]()
    for name in sorted(nodes, key=lambda name: -own[name].adapter.rank):
        if (kind := _kind(own[name])) not in kinds:
            kinds[kind] = load_resident(own[name], sites[0], records.test)
    pairs = simulated_pairs(experiment, roster, nodes)
    benches = {
        site.node: equip(
            kinds[_kind(own[site.node])].at(own[site.node]),
            site,
            records.nodes[site.node],
            replace(SIMULATED, pairs=pairs.get(site.node)),
        )
        for site in sites
    }
    parts = (part for bench in benches.values() for part in (bench.data.train, bench.data.held_out))
    if notice := cut_notice(parts, experiment.task):
        logger.warning("%s", notice)
    accounts = {name: bench.account for name, bench in benches.items()}
    simulated = {
        name: account for name, account in accounts.items() if isinstance(account, SimulatedAccount | PeriodAccount)
    }
    resident = next(iter(kinds.values()))
    tried = make_test(experiment, records.tried, resident.adapted.reader)
    return Fleet(
        resident,
        benches,
        simulated,
        tried.to(resident.device) if tried is not None else None,
        _lone(experiment, {name: kinds[_kind(own[name])].at(own[name]) for name in nodes}, sites, records),
        arrivals,
    )


def _lone(
    experiment: Experiment, residents: Mapping[str, Resident], sites: Sequence[DataSite], records: FleetRecords
) -> Callable[[str], Bench] | None:
    """What makes benches of nodes without neighbors, at the models of those that have some."""
    if not (experiment.personal.phases and experiment.personal.against_alone):
        return None
    places = {site.node: site for site in sites}

    def bench(node: str) -> Bench:
        adapted = residents[node].adapted
        alone = replace(adapted, experiment=lone_experiment(adapted.experiment))
        resident = replace(residents[node], adapted=alone)
        return ordinary_bench(resident, places[node], records.nodes[node], SIMULATED)

    return bench


_Kind = tuple[int, str, str]
"""What makes a node need a model of its own: rank, type of the frozen numbers, type they are multiplied in."""


def _kind(experiment: Experiment) -> _Kind:
    return experiment.adapter.rank, experiment.model.dtype, experiment.training.precision


def own_experiments(experiment: Experiment, nodes: Sequence[str]) -> dict[str, Experiment]:
    """The experiment as each node has it: at its rank, on its machine; the same value where they are alike.

    Raises:
        ConfigError: a rank or a machine is of nobody, or makes no sense.
    """
    ranks, machines = simulated_ranks(experiment), simulated_machines(experiment)
    made: dict[tuple[int, int], Experiment] = {}
    for name in nodes:
        key = ranks[name], id(machines[name])
        if key not in made:
            made[key] = at_rank(machines[name], ranks[name])
    return {name: made[ranks[name], id(machines[name])] for name in nodes}


def on_one_thread(experiment: Experiment) -> Experiment:
    """Unless it says otherwise: many small passes gain nothing from more, and results do not depend on the machine."""
    training = experiment.training.model_copy(update={"threads": experiment.training.threads or 1})
    return experiment.model_copy(update={"training": training})
