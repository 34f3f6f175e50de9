"""The learners of all nodes of a trial, at one resident model: data split once, accounts in memory, seeded noise."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from gossipfl.config.experiment import Experiment
from gossipfl.config.graph_files import graph_for
from gossipfl.config.ranks import at_rank, simulated_ranks
from gossipfl.core.messages import Clear
from gossipfl.core.topology import build_schedule
from gossipfl.core.topology.links import mutual_links
from gossipfl.learning.bench import Bench, Resident, learner_for, load_resident
from gossipfl.learning.books import Books, RunTerms
from gossipfl.learning.continual import sampling_of
from gossipfl.learning.data import DataSite, Examples, NodeRecords, load_fleet_records, make_test
from gossipfl.learning.data.poisons import poison_fleet
from gossipfl.learning.evaluation import Evaluation
from gossipfl.learning.forgetting import Score, score_of
from gossipfl.learning.growing import take_in
from gossipfl.privacy.account import Account, FreeAccount
from gossipfl.privacy.pairs.noise import SeededNoise
from gossipfl.privacy.pairs.terms import PairTerms
from gossipfl.privacy.period_account import PeriodAccount
from gossipfl.privacy.plan import Drawing, delta_for, make_plan, plan_for_all
from gossipfl.privacy.publishing import Publisher
from gossipfl.privacy.simulated_account import SimulatedAccount
from gossipfl.runs.arrivals import Arrivals, arrivals_of, at_the_beginning
from gossipfl.runs.judging import Judgment, States
from gossipfl.state import AdapterState

SIMULATED = RunTerms(run="simulation", streams="seeded")


@dataclass(frozen=True, slots=True)
class Roster:
    """Whose data it is.

    Attributes:
        names: of all nodes; data is split over them.
        folder: of experiment.yaml.
    """

    names: tuple[str, ...]
    folder: Path


@dataclass(frozen=True, slots=True)
class Fleet:
    """Everything that trains and evaluates.

    Attributes:
        resident: the one model; where ranks differ that of the highest.
        benches: by node, at that model, or at the one of its rank.
        simulated: accounts of the nodes under privacy, those of their benches.
        tried: what shows whether a backdoor works; None without one.
        arrivals: by node, data that comes while they train; empty without `simulation.periods`.
    """

    resident: Resident
    benches: Mapping[str, Bench]
    simulated: Mapping[str, SimulatedAccount | PeriodAccount]
    tried: Examples | None = None
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
        experiment = self.resident.adapted.experiment
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
        return grown_books(self.resident.adapted.experiment, records, self.benches[node].account)

    def judge(self, states: States) -> list[Judgment]:
        """See `Judge`."""
        return [self._judgment(node, state) for node, state in states]

    def judge_mean(self, state: AdapterState) -> Evaluation | None:
        """See `Judge`; only a common test set is the same for all."""
        if self.resident.test is None:
            return None
        bench = next(bench for bench in self.benches.values() if bench.adapted is self.resident.adapted)
        return bench.learner.evaluate(state, self.resident.test)

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

    def _judgment(self, node: str, state: AdapterState) -> Judgment:
        bench = self.benches[node]
        own, test = bench.data.held_out, self.resident.test
        judged = bench.learner.evaluate(state, own) if own.rows else None
        return Judgment(
            own=judged,
            test=bench.learner.evaluate(state, test) if test is not None else None,
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
    sites = [DataSite(name, roster.names, None, roster.folder, roster.folder) for name in nodes]
    read = load_fleet_records(experiment, sites)
    arrivals = arrivals_of(experiment, roster.names, read)
    records = poison_fleet(experiment, at_the_beginning(experiment, read, arrivals))
    ranks = simulated_ranks(experiment)
    residents = {
        rank: load_resident(at_rank(experiment, rank), sites[0], records.test)
        for rank in sorted({ranks[name] for name in nodes}, reverse=True)
    }
    pairs = simulated_pairs(experiment, roster, nodes)
    benches = {
        site.node: equip(
            residents[ranks[site.node]],
            site,
            records.nodes[site.node],
            replace(SIMULATED, pairs=pairs.get(site.node)),
        )
        for site in sites
    }
    accounts = {name: bench.account for name, bench in benches.items()}
    simulated = {
        name: account for name, account in accounts.items() if isinstance(account, SimulatedAccount | PeriodAccount)
    }
    resident = next(iter(residents.values()))
    tried = make_test(experiment, records.tried, resident.adapted.tokenizer)
    return Fleet(resident, benches, simulated, tried.to(resident.device) if tried is not None else None, arrivals)


def on_one_thread(experiment: Experiment) -> Experiment:
    """Unless it says otherwise: many small passes gain nothing from more, and results do not depend on the machine."""
    training = experiment.training.model_copy(update={"threads": experiment.training.threads or 1})
    return experiment.model_copy(update={"training": training})


def simulated_pairs(experiment: Experiment, roster: Roster, nodes: Sequence[str]) -> dict[str, PairTerms]:
    """With whom each node shares seeded noise; empty but at level correlated.

    Raises:
        TopologyError: the graph cannot carry gossip, or is directed.
    """
    if experiment.privacy.level != "correlated":
        return {}
    topology = experiment.topology
    links = mutual_links(build_schedule(topology, roster.names, graph_for(topology, roster.folder)))
    return {name: PairTerms(name, links, SeededNoise(experiment.seed, name, tuple(links[name]))) for name in nodes}


def simulated_books(experiment: Experiment, records: NodeRecords, pairs: PairTerms | None = None) -> Books:
    """An account in memory of these records, and the plan of the whole run; free and none at level none.

    Raises:
        PrivacyError: see `make_plan`.
    """
    privacy, units = experiment.privacy, len(records.train)
    if privacy.level == "none":
        return Books(FreeAccount(), None)
    make = SimulatedAccount if experiment.simulation.periods is None else PeriodAccount
    account = make(delta_for(privacy.target_delta, units), privacy.accountant, privacy.target_epsilon)
    return Books(account, make_plan(privacy, experiment.training, units=units, pairs=pairs))


def grown_books(experiment: Experiment, records: NodeRecords, account: Account) -> Books:
    """What `simulated_books` gives for more records, at the account of those of them that were there before.

    Raises:
        PrivacyError: see `make_plan`.
    """
    if not isinstance(account, PeriodAccount):
        return Books(account, None)
    privacy, units = experiment.privacy, len(records.train)
    sampling = sampling_of(experiment, records)
    drawn = [1.0] * units if sampling.shares is None else sampling.shares.tolist()
    shares = [0.0] * (max(records.periods) + 1)
    for period, share in zip(records.periods, drawn, strict=True):
        shares[period] = max(shares[period], share if privacy.level == "example" else 1.0)
    drawing = Drawing(sampling.weight(units), shares) if privacy.level == "example" else None
    pasts = [()] * len(shares) if drawing else [()]
    plan = plan_for_all(privacy, experiment.training, units=units, pasts=pasts, drawing=drawing)
    before = account.state()
    account.take_in(shares, delta_for(privacy.target_delta, units))
    return Books(account, plan, partial(account.restore, before))
