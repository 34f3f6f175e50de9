"""Everything that can be known before training: what is wrong, and what the plan is.

Each part is checked on its own, so that one problem does not hide the next.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from gossipfl.config.experiment import Experiment
from gossipfl.config.loading import LoadedPeers, load_peers, resolve_self
from gossipfl.config.machines import own_values
from gossipfl.config.peers import NodeConfig
from gossipfl.config.ranks import at_rank
from gossipfl.core.codecs import build_codec
from gossipfl.core.mixing import MIXINGS
from gossipfl.core.protocol import Schedule
from gossipfl.core.protocols import PROTOCOLS
from gossipfl.core.tables import resolve
from gossipfl.core.topology import agreement
from gossipfl.core.work import WORKS
from gossipfl.errors import BudgetSpentError, ModelError, UserError
from gossipfl.learning.adapters.summary import AdapterSummary, summarize
from gossipfl.learning.bench import load_adapted
from gossipfl.learning.books import ledger_file, planned_from
from gossipfl.learning.data import NodeRecords, load_all_node_records, load_node_records, load_test_records
from gossipfl.learning.placing import refuse_quantization
from gossipfl.node.assembly import site_of, state_dir_of
from gossipfl.node.check_notes import if_all_are_drawn, if_replaced, own_models, what_is_protected
from gossipfl.node.check_trust import WITHOUT, check_certificates, check_without
from gossipfl.node.intake import with_folder
from gossipfl.node.memory import Memory, memory_of, shortage
from gossipfl.node.ranks import as_node, ranks_in
from gossipfl.node.schedules import schedule_of
from gossipfl.node.shared_noise import planned_sharing
from gossipfl.node.state_directory import run_name_in
from gossipfl.privacy.accounting import Charge
from gossipfl.privacy.mechanisms import LEVELS
from gossipfl.privacy.plan import Drawing, Plan, plan_for_all
from gossipfl.privacy.spent import spent

T = TypeVar("T")


@dataclass(slots=True)
class Findings:
    """What a check found.

    Attributes:
        problems: one line each; a run with any of them would not start.
        notes: one line each, what a user should know.
        lam: λ of the mixing matrix; of a schedule over time as `core.topology.agreement` gives it.
        neighbors: degree by node.
        adapter: what is trained; where ranks differ at the highest.
        values: numbers in one message.
        bytes_per_exchange: payload of one message.
        plans: privacy plan of the nodes whose data is on this machine.
        memory: of one node on this machine, by estimate; of the only one here with its own machine's values. None for a
            builtin model, or where it cannot be told.
        machines: what is a node's own, of those that have a machine of their own.
    """

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    nodes: int = 0
    lam: float | None = None
    neighbors: dict[str, int] = field(default_factory=dict)
    adapter: AdapterSummary | None = None
    values: int | None = None
    bytes_per_exchange: int | None = None
    plans: dict[str, Plan] = field(default_factory=dict)
    memory: Memory | None = None
    machines: dict[str, Mapping[str, object]] = field(default_factory=dict)

    def attempt(self, check: Callable[[], T]) -> T | None:
        """The check's value; None and one problem more when it fails by the user's mistake.

        Raises:
            BudgetSpentError: no mistake, and the caller's to explain.
        """
        try:
            return check()
        except BudgetSpentError:
            raise
        except UserError as error:
            problem = " ".join(str(error).split())
            # a bad certificate is found again by every node that would have to know it
            if problem not in self.problems:
                self.problems.append(problem)
            return None


def check(peers: Path, *, name: str | None, overrides: Sequence[str] = (), insecure: bool = False) -> Findings:
    """Checks files, topology, model, adapter, and data, certificates and privacy plan of the nodes of this machine.

    Args:
        name: check this node only; default: every node whose data or key is on this machine, and of those that take
            a part of `data.source` data and plan.
        insecure: the nodes are to run without certificates, on purpose.

    Guarantees:
        What is wrong with certificates comes last of the problems.
    """
    findings = Findings()
    loaded = findings.attempt(lambda: load_peers(peers, overrides))
    if loaded is None:
        return findings
    if name is not None and findings.attempt(lambda: resolve_self(loaded.peers, name, {})) is None:
        return findings
    experiment = loaded.experiment.experiment
    findings.nodes = len(loaded.names)
    findings.attempt(lambda: _check_choices(experiment))
    schedule = findings.attempt(lambda: schedule_of(loaded))
    if schedule is not None:
        findings.attempt(lambda: _check_agreement(findings, experiment, schedule))
        findings.neighbors = {node: len(schedule.neighbors(node)) for node in schedule.nodes}
    findings.machines = {node.name: own for node in loaded.peers.nodes if (own := own_values(node.machine))}
    _check_nodes(findings, loaded, name)
    findings.attempt(lambda: load_test_records(experiment, loaded.experiment.folder))
    findings.attempt(lambda: _check_model(findings, loaded, name))
    findings.notes += what_is_protected(experiment) + own_models(experiment)
    _check_trust(findings, loaded, _nodes_here(loaded, name), schedule, insecure=insecure)
    return findings


def _check_choices(experiment: Experiment) -> None:
    gossip = experiment.gossip
    resolve(PROTOCOLS, gossip.protocol, field="gossip.protocol")
    resolve(MIXINGS, gossip.mixing, field="gossip.mixing")
    resolve(WORKS, gossip.work, field="gossip.work")
    build_codec(gossip)
    resolve(LEVELS, experiment.privacy.level, field="privacy.level")


def _check_agreement(findings: Findings, experiment: Experiment, schedule: Schedule) -> None:
    agrees = agreement(schedule)
    findings.lam = agrees.lam
    rounds = experiment.gossip.rounds_per_phase
    if agrees.lam == 0 and agrees.rounds > 1 and rounds % agrees.rounds:
        findings.notes.append(
            f"topology.schedule: {experiment.topology.schedule} gives the exact mean after {agrees.rounds} rounds, and "
            f"gossip.rounds_per_phase is {rounds}: with {agrees.rounds} every phase ends in agreement"
        )
    if experiment.topology.weights == "optimal":
        findings.notes.append(
            "topology.weights: optimal is solved on each machine, and nodes whose last digits differ do not meet: "
            "gossipfl topology show --save writes them to a file once, for topology.weights file"
        )


def _check_nodes(findings: Findings, loaded: LoadedPeers, name: str | None) -> None:
    here = _nodes_here(loaded, name)
    # a common dataset lies on every machine, a certificate and its key only on their own
    sharing = _nodes_sharing(loaded) if name is None else []
    if not here:
        unknown = "certificates" if sharing else "data, certificates and plan"
        findings.notes.append(f"no node's data or key is on this machine: {unknown} were not checked")
    records = _records_sharing(loaded, [node for node in here + sharing if node.data is None])
    for node in loaded.peers.nodes:
        own = findings.attempt(partial(as_node, loaded, node))
        if own is not None and (node in here or node in sharing):
            _check_data(findings, own, node, records.get(node.name))


def _nodes_here(loaded: LoadedPeers, name: str | None) -> list[NodeConfig]:
    if name is not None:
        return [node for node in loaded.peers.nodes if node.name == name]
    return [
        node
        for node in loaded.peers.nodes
        if any(path and (loaded.folder / path).exists() for path in (node.data, node.key))
    ]


def _nodes_sharing(loaded: LoadedPeers) -> list[NodeConfig]:
    """Nodes that take a part of `data.source`."""
    if loaded.experiment.experiment.data.source is None:
        return []
    return [node for node in loaded.peers.nodes if node.data is None]


def _records_sharing(loaded: LoadedPeers, nodes: Sequence[NodeConfig]) -> Mapping[str, NodeRecords]:
    """The parts of `data.source`, read once for all; empty when one is wrong, which each node then says for itself."""
    if not nodes:
        return {}
    with suppress(UserError):
        return load_all_node_records(loaded.experiment.experiment, [site_of(loaded, node) for node in nodes])
    return {}


def _check_trust(
    findings: Findings, loaded: LoadedPeers, here: Sequence[NodeConfig], schedule: Schedule | None, *, insecure: bool
) -> None:
    if insecure:
        findings.attempt(lambda: check_without(loaded))
        findings.notes.append(WITHOUT)
        return
    for node in here:
        findings.attempt(partial(check_certificates, loaded, node, schedule))


def _check_data(findings: Findings, loaded: LoadedPeers, node: NodeConfig, records: NodeRecords | None) -> None:
    experiment = loaded.experiment.experiment
    if records is None:
        records = findings.attempt(lambda: _own_records(loaded, node))
    if records is None or experiment.privacy.level == "none":
        return
    _check_budget(findings, loaded, node, records)


def _own_records(loaded: LoadedPeers, node: NodeConfig) -> NodeRecords:
    """Of a folder that is watched in its periods, as far as they have been taken in."""
    experiment = loaded.experiment.experiment
    site, _ = with_folder(experiment, site_of(loaded, node), state_dir_of(loaded, node), keeps=False)
    return load_node_records(experiment, site)


def _check_budget(findings: Findings, loaded: LoadedPeers, node: NodeConfig, records: NodeRecords) -> None:
    experiment = loaded.experiment.experiment
    ledger = ledger_file(experiment, site_of(loaded, node), node.ledger)
    run = run_name_in(state_dir_of(loaded, node))
    found = findings.attempt(lambda: planned_from(experiment, records, ledger, run=run))
    if found is None:
        return
    before, drawing = found
    try:
        plan = findings.attempt(lambda: _plan(loaded, node, records, before, drawing))
    except BudgetSpentError as error:
        plan = None
        findings.notes.append(f"{node.name}: {error}: it would mix and serve, and not train")
    if plan is not None:
        findings.plans[node.name] = plan
        findings.notes += if_all_are_drawn(node, plan)
        # at the levels that have this, all data of a node has one past
        findings.notes += if_replaced(node, plan, before[0])
    if ledger.exists():
        accounts = findings.attempt(lambda: spent(ledger)) or []
        findings.notes += [
            f"{node.name}: {ledger} has spent ε = {account.epsilon:.3g} of account {account.account} already"
            for account in accounts
            if account.charges
        ]


def _plan(
    loaded: LoadedPeers,
    node: NodeConfig,
    records: NodeRecords,
    pasts: Sequence[Sequence[Charge]],
    drawing: Drawing | None,
) -> Plan:
    experiment = loaded.experiment.experiment
    correlated = experiment.privacy.level == "correlated"
    pairs = planned_sharing(experiment, node.name, schedule_of(loaded)) if correlated else None
    privacy, training, units = experiment.privacy, experiment.charged_training, len(records.train)
    return plan_for_all(privacy, training, units=units, pasts=pasts, pairs=pairs, drawing=drawing)


def _check_model(findings: Findings, loaded: LoadedPeers, name: str | None) -> None:
    experiment = at_rank(loaded.experiment.experiment, max(ranks_in(loaded).values()))
    refuse_quantization(experiment.model)
    if not experiment.model.own_form:
        here = _nodes_here(loaded, name)
        # of several, each with a machine of its own, what experiment.yaml has for all
        trained = as_node(loaded, here[0]).experiment.experiment if len(here) == 1 else experiment
        _check_memory(findings, trained, loaded.experiment.folder)
    elif experiment.model.plain:
        findings.notes.append(f"memory: no estimate for a model of your own code, {experiment.model.source}")
    adapted = load_adapted(experiment, site_of(loaded, loaded.peers.nodes[0]))
    spec = adapted.spec.shared()
    findings.adapter = summarize(experiment.adapter, adapted.spec)
    findings.values = spec.size
    findings.bytes_per_exchange = build_codec(experiment.gossip).sizes(spec)[-1]


def _check_memory(findings: Findings, experiment: Experiment, folder: Path) -> None:
    """Estimates before anything is loaded.

    Raises:
        ModelError: the weights alone are more than the machine has: loading them would take it down.
    """
    neighbors = max(findings.neighbors.values(), default=0)
    try:
        memory = memory_of(experiment, folder, neighbors=neighbors)
    except ModelError as error:
        # what is wrong with it loading says too; a family that cannot be told of trains all the same
        findings.notes.append(f"memory: no estimate for this model, which trains all the same: {error}")
        return
    findings.memory = memory
    missing = shortage(memory, experiment, folder, neighbors=neighbors)
    if missing and not memory.loads:
        raise ModelError(f"{missing}; nothing was loaded")
    findings.notes += [missing] if missing else []
