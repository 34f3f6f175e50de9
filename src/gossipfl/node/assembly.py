"""Builds a node out of two files and a state directory, and runs it.

peers.yaml, experiment.yaml ─> bench (model, data, account) ─┐
state directory ─> checkpoint, incarnation ──────────────────┼─> NodeParts ─> Node.run()
certificates ─> identity ─> transport ───────────────────────┘
"""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from gossipfl.config.loading import LoadedPeers, dump_experiment, load_peers, resolve_self
from gossipfl.config.peers import NodeConfig
from gossipfl.core.codecs import build_codec
from gossipfl.core.codecs.packing import packer_for
from gossipfl.core.common import BRANCH
from gossipfl.core.handshake import LedgerHead
from gossipfl.core.mixing import build_mixing
from gossipfl.core.protocol import Parts, Protocol, Schedule
from gossipfl.core.protocols import PROTOCOLS
from gossipfl.core.snapshot import Snapshot
from gossipfl.core.tables import resolve
from gossipfl.core.topology.live import live_schedule
from gossipfl.core.work import build_work
from gossipfl.errors import PrivacyError, StateError
from gossipfl.learning.bench import Bench, build_learner
from gossipfl.learning.books import RunTerms, Streams, ledger_file
from gossipfl.learning.data import DataSite
from gossipfl.learning.data.token_folder import prepare_folder
from gossipfl.net.identity import load_identity
from gossipfl.net.pinning import Trust
from gossipfl.node.absolute import absolute
from gossipfl.node.adapter_note import note_adapter
from gossipfl.node.agreeing import branch_of, common_for
from gossipfl.node.attacking import AttackRequest, attacker_for, check_attack, poisoner
from gossipfl.node.checkpoint import Saved, load_latest
from gossipfl.node.dashboard.beside import Page
from gossipfl.node.drawing import curves_of
from gossipfl.node.first_record import first_record
from gossipfl.node.following import Followed
from gossipfl.node.freed_memory import return_freed_memory
from gossipfl.node.greeting import Greeter, experiment_fingerprint
from gossipfl.node.guarding import guard_for
from gossipfl.node.intake import begin_intake, with_folder
from gossipfl.node.newcomers import joining
from gossipfl.node.parts import NodeParts
from gossipfl.node.personal import personalize
from gossipfl.node.places import state_place
from gossipfl.node.ranks import as_node
from gossipfl.node.record import NodeRecord
from gossipfl.node.relays import relays_of
from gossipfl.node.rest import Rest
from gossipfl.node.runtime import Node
from gossipfl.node.schedules import schedule_of
from gossipfl.node.shared_noise import share_noise
from gossipfl.node.state_directory import StateDirectory
from gossipfl.node.traces.beginning import begin_traces
from gossipfl.node.wires import Wires, opener
from gossipfl.privacy.ledger import LedgerAccount
from gossipfl.privacy.ledger_link import write_ledger_link
from gossipfl.privacy.pairs.keys import PairSeeds
from gossipfl.privacy.publications import PublicationLog
from gossipfl.privacy.publishing import Publisher
from gossipfl.privacy.signing import Signer, sign_head
from gossipfl.state import AdapterState


@dataclass(frozen=True, slots=True)
class NodeRequest:
    """What the command line asks of one node.

    Attributes:
        peers: peers.yaml.
        name: of the node; default see `config.this_node`.
        state_dir: default `state/NAME` beside peers.yaml.
        page: the dashboard to serve meanwhile; the extra `dashboard` is there.
        overrides: `a.b=value` for the experiment.
        serve: go on for ever after the last step.
        insecure: plaintext, on purpose.
        new_account: reason to start a fresh privacy account on known data.
        attack: lie to the others, on purpose.
        join: HOST:PORT of nodes to join through, with membership dynamic; besides those of peers.yaml.
        branch: what the others were rolled back to when this node was not there yet.
        traces: URL of `gossipfl.node.traces.target`; the extra `opentelemetry` is there. None: no traces.
        tensorboard: folder for event files; the extra `tensorboard` is there. None: none.
    """

    peers: Path
    name: str | None = None
    state_dir: Path | None = None
    page: Page | None = None
    overrides: Sequence[str] = ()
    serve: bool = False
    insecure: bool = False
    new_account: str | None = None
    attack: AttackRequest = field(default_factory=AttackRequest)
    join: Sequence[str] = ()
    branch: str | None = None
    traces: str | None = None
    tensorboard: Path | None = None


def run_node(request: NodeRequest, report: Callable[[NodeRecord], None]) -> NodeRecord:
    """Runs one node to its end, or until it is told to stop; its last record.

    Args:
        report: told after every mixing and at the end, on the event loop.

    Raises:
        UserError: something is wrong that can be known before training, or disk or ledger failed meanwhile.
    """
    with ExitStack() as stack:
        parts = assemble(request, report, stack)
        return_freed_memory()
        node = Node(parts, serve=request.serve)
        asyncio.run(request.page.run_beside(node) if request.page else node.run())
        # the network is left by now: nothing of it can be sent
        personalize(parts)
        return parts.record


def assemble(
    request: NodeRequest, report: Callable[[NodeRecord], None], stack: ExitStack, *, streams: Streams = "secret"
) -> NodeParts:
    """Everything a node works with; what has to be closed is put on the stack.

    Args:
        streams: of noise and batches; seeded ones, which everybody can repeat, are for tests.
    """
    overrides = (*request.overrides, *request.attack.overrides())
    loaded = joining(load_peers(request.peers, overrides), request.join, insecure=request.insecure)
    check_attack(request.attack, loaded.experiment.experiment)
    me = resolve_self(loaded.peers, request.name, os.environ)
    loaded = as_node(loaded, me)
    live = loaded.peers.membership == "dynamic"
    # alone, until it knows who is up
    schedule = live_schedule(loaded.experiment.experiment.topology, [me.name]) if live else schedule_of(loaded)
    neighbors = schedule.neighbors(me.name)
    identity = load_identity(loaded.peers, loaded.folder, me, neighbors=neighbors, insecure=request.insecure)
    directory = stack.enter_context(StateDirectory(request.state_dir or state_dir_of(loaded, me)))
    shared = share_noise(loaded.experiment.experiment, identity, schedule, directory, streams)
    terms = RunTerms(directory.run_name(), me.ledger, request.new_account, streams, shared.terms)
    alter = poisoner(request.attack, me.name, loaded.experiment.experiment)
    own = replace(site_of(loaded, me), tokens=directory.path / "tokens")
    data, tests = loaded.experiment.experiment.data, loaded.experiment.experiment.data.has_test
    prepare_folder(directory.path / "tokens", kept=data.tokens == "mapped", own=me.name, tests=tests)
    site, folder = with_folder(loaded.experiment.experiment, own, directory.path)
    bench = build_learner(loaded.experiment.experiment, site, terms, alter=alter)
    stack.callback(bench.close)
    if bench.plan is not None:
        ledger = ledger_file(loaded.experiment.experiment, site, me.ledger)
        write_ledger_link(directory.path, ledger)
    fingerprint = experiment_fingerprint(loaded.experiment.experiment, bench.adapted.components(), schedule, live=live)
    saved = _resume(directory, loaded, fingerprint, bench)
    signer = Signer.from_pem(identity.key or directory.signing_key())
    branch = branch_of(saved, request.branch)
    greeted = fingerprint | ({BRANCH: branch} if branch else {})
    traces, trace_seed = begin_traces(request.traces, me.name, stack)
    life = _Life(directory, signer, shared.seeds, trace_seed)
    greeter = _greeter(loaded, me, greeted, schedule.version, bench, life)
    record = first_record(me.name, bench, directory, folder)
    protocol = _protocol(loaded, me.name, schedule, bench, saved)
    rest = Rest(me.machine) if me.machine.rests else None
    keeps_books = protocol.snapshot.mass is not None
    trust = Trust(identity)
    guard = guard_for(loaded.experiment.experiment, trust, schedule, bench.adapted.spec.shared(), greeter.fingerprint)
    relays = relays_of(loaded.peers.nodes, schedule, me.name)
    common = common_for(loaded, trust, signer, greeter, directory)
    wires = Wires(
        me, trust, neighbors, relays, greeter, directory, record, bench, keeps_books, guard, common.asked, traces
    )
    followed = Followed(loaded, overrides, me, schedule, trust, greeter, directory, common)
    return NodeParts(
        experiment=loaded.experiment.experiment,
        directory=directory,
        protocol=protocol,
        bench=bench,
        saved=saved,
        publications=stack.enter_context(PublicationLog(directory.publications, signer)),
        greeter=greeter,
        open_transport=opener(loaded, wires),
        record=record,
        report=report,
        draw=curves_of(request.tensorboard, me.name, directory.metrics, stack),
        common=common,
        guard=guard,
        attacker=attacker_for(request.attack, me.name, loaded.experiment.experiment, schedule, bench),
        followed=followed,
        traces=traces,
        rest=rest,
        intake=begin_intake(folder, bench, stack),
    )


def site_of(loaded: LoadedPeers, node: NodeConfig) -> DataSite:
    """Where a node's records are."""
    return DataSite(
        node=node.name,
        names=loaded.names,
        source=node.data,
        folder=loaded.experiment.folder,
        data_folder=loaded.folder,
    )


def state_dir_of(loaded: LoadedPeers, node: NodeConfig) -> Path:
    """Where a node's state lies when nobody says otherwise."""
    return state_place(loaded.folder, node.name)


@dataclass(frozen=True, slots=True)
class _Life:
    """Where incarnations are counted, who signs, what is agreed on with neighbors, and what traces are named by."""

    directory: StateDirectory
    signer: Signer
    seeds: PairSeeds | None
    trace_seed: bytes


def _resume(directory: StateDirectory, loaded: LoadedPeers, fingerprint: dict[str, str], bench: Bench) -> Saved | None:
    """The checkpoint to go on from, its optimizer restored; the folder is tied to the experiment."""
    experiment = loaded.experiment.experiment
    directory.check_experiment(fingerprint, dump_experiment(absolute(experiment, loaded.experiment.folder)))
    note_adapter(directory, bench.adapted)
    saved = load_latest(directory.path)
    if saved is None:
        return None
    try:
        # whatever a protocol does first: training that this ledger does not cover must not leave under its ε
        bench.account.require(saved.snapshot.receipt)
    except PrivacyError as error:
        raise StateError(
            f"{directory.path}: its checkpoint is not covered by the data's ledger ({error}); restore the ledger, "
            "or move the state directory away to begin anew"
        ) from error
    bench.learner.restore(saved.optimizer)
    snapshot = saved.snapshot
    if saved.branch and isinstance(bench.account, LedgerAccount):
        # what was paid after the state that the run went back to is stated with it: ε never falls
        snapshot = replace(snapshot, receipt=bench.account.receipt())
    # whether the budget is spent is the ledger's to say: the target may have been raised meanwhile
    return replace(saved, snapshot=replace(snapshot, exhausted=False))


def _protocol(
    loaded: LoadedPeers, name: str, schedule: Schedule, bench: Bench, saved: Saved | None
) -> Protocol[AdapterState]:
    experiment, initial = loaded.experiment.experiment, bench.adapted.initial
    parts = Parts(
        name=name,
        schedule=schedule,
        mixing=build_mixing(experiment.gossip, experiment.adapter, initial),
        gossip=experiment.gossip,
        phases=experiment.training.phases,
        local_steps=experiment.training.local_steps,
        clear=Publisher(bench.account).clear,
        snapshot=saved.snapshot if saved else Snapshot(state=initial, unmixed=initial),
        packer=partial(packer_for, experiment.gossip, experiment.seed, initial.sharing(), name),
        seed=experiment.seed,
        sums_only=experiment.protection.sums_only,
        live=loaded.peers.membership == "dynamic",
        newcomer=bool(loaded.peers.join),
        local_seconds=experiment.training.local_seconds,
        work=build_work(experiment.gossip, experiment.training),
    )
    return resolve(PROTOCOLS, experiment.gossip.protocol, field="gossip.protocol")(parts)


def _greeter(  # each a part of what a node says of itself
    loaded: LoadedPeers, me: NodeConfig, fingerprint: Mapping[str, str], version: int, bench: Bench, life: _Life
) -> Greeter:
    experiment, account = loaded.experiment.experiment, bench.account

    def head(incarnation: int) -> LedgerHead | None:
        if not isinstance(account, LedgerAccount):
            return None
        charges, last = account.head
        return sign_head(life.signer, charges=charges, head=last, incarnation=incarnation)

    return Greeter(
        name=me.name,
        fingerprint=fingerprint,
        basis_sketch=bench.adapted.basis_sketch,
        codec=build_codec(experiment.gossip).name,
        topology_version=version,
        incarnation=life.directory.next_incarnation(),
        next_incarnation=lambda above: life.directory.next_incarnation(above=above),
        head=head,
        seeds=life.seeds,
        trace_seed=life.trace_seed,
    )
