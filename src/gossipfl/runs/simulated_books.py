"""What simulated training may cost: accounts in memory, plans of the whole run, noise that neighbors share."""

from collections.abc import Sequence
from functools import partial

from gossipfl.config.experiment import Experiment
from gossipfl.config.graph_files import graph_for
from gossipfl.core.topology import build_schedule
from gossipfl.core.topology.links import mutual_links
from gossipfl.learning.books import Books
from gossipfl.learning.continual import sampling_of
from gossipfl.learning.data import NodeRecords
from gossipfl.privacy.account import Account, FreeAccount
from gossipfl.privacy.pairs.noise import SeededNoise
from gossipfl.privacy.pairs.terms import PairTerms
from gossipfl.privacy.period_account import PeriodAccount
from gossipfl.privacy.plan import Drawing, delta_for, make_plan, plan_for_all
from gossipfl.privacy.simulated_account import SimulatedAccount
from gossipfl.runs.roster import Roster


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
    return Books(account, make_plan(privacy, experiment.charged_training, units=units, pairs=pairs))


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
    plan = plan_for_all(privacy, experiment.charged_training, units=units, pasts=pasts, drawing=drawing)
    before = account.state()
    account.take_in(shares, delta_for(privacy.target_delta, units))
    return Books(account, plan, partial(account.restore, before))
