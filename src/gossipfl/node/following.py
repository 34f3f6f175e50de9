"""A running node's neighbors, kept those it should have.

who is up (dynamic)        ──> graph of those ──┐
peers.yaml, when it changes ─> graph in it ─────┼─> Rewired ──> protocol
                                                └─> links opened and closed
revocation list, when it changes ─────────────────> whoever is in it is shut out

Files are looked at every `probe_s`, and at once on SIGHUP. One that is not what it should be is refused with a line,
and what it said before stays.
"""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from gossipfl.config.experiment import Experiment
from gossipfl.config.loading import LoadedPeers, load_peers
from gossipfl.config.peers import NodeConfig
from gossipfl.core.events import Report, Rewired
from gossipfl.core.remains import Remains
from gossipfl.core.schedule import Schedule
from gossipfl.core.topology.live import live_schedule
from gossipfl.errors import CertificateError, ConfigError, UserError
from gossipfl.net.identity import load_identity
from gossipfl.net.pinning import Trust
from gossipfl.net.revocations import read_revocations
from gossipfl.net.transport import Transport
from gossipfl.node.agreeing import terms_of
from gossipfl.node.common import Common
from gossipfl.node.greeting import Greeter
from gossipfl.node.ranks import as_node
from gossipfl.node.schedules import schedule_of
from gossipfl.node.state_directory import StateDirectory

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Followed:
    """What a node goes by.

    Attributes:
        loaded: peers.yaml, as it was read last.
        overrides: of the command line.
        me: this node.
        schedule: by now.
        trust, greeter, directory, common: of this life.
    """

    loaded: LoadedPeers
    overrides: tuple[str, ...]
    me: NodeConfig
    schedule: Schedule
    trust: Trust
    greeter: Greeter
    directory: StateDirectory
    common: Common


class Following:
    """Rewires a node while it runs.

    Args:
        followed: at the start.
        add: takes events for the protocol.
    """

    def __init__(self, followed: Followed, transport: Transport, add: Callable[[Rewired], None]) -> None:
        self._now = followed
        self._transport = transport
        self._add = add
        self._asked = asyncio.Event()
        self._remains = Remains(followed.me.name)

    def mixed(self, report: Report) -> None:
        """Notes a mixing of this node's."""
        self._remains.note(report)

    def members_changed(self, up: Mapping[str, str]) -> None:
        """Dynamic: others are up now; address by name."""
        now = self._now
        schedule = live_schedule(now.loaded.experiment.experiment.topology, {*up, now.me.name})
        nodes = [NodeConfig(name=name, address=address) for name, address in up.items()]
        for name in sorted({*now.schedule.nodes} - {*up}):
            share = self._remains.of(name)
            logger.info(
                "%s takes part no longer; %.1f%% of this node's state came straight from it and stays: nobody unlearns",
                name,
                100 * share,
                extra={"peer": name, "share": share},
            )
        logger.info("up: %s", ", ".join(sorted(up)))
        self._now = replace(now, schedule=schedule)
        self._rewire(nodes)

    async def run(self) -> None:
        """Looks after the files until it is cancelled."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._asked.set)
        try:
            before = self._signs()
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._now.loaded.peers.probe_s):
                        await self._asked.wait()
                asked, signs = self._asked.is_set(), self._signs()
                self._asked.clear()
                await self._look_again([path for path in signs if asked or signs[path] != before.get(path)])
                before = signs
        finally:
            loop.remove_signal_handler(signal.SIGHUP)

    # ---- files ----

    def _signs(self) -> dict[Path, tuple[int, int, int] | None]:
        """What tells that a file is another; None: it is not there."""
        return {path: _sign(path) for path in (self._now.loaded.path, self._revoked) if path is not None}

    @property
    def _revoked(self) -> Path | None:
        loaded = self._now.loaded
        return None if loaded.peers.revoked is None else loaded.folder / loaded.peers.revoked

    async def _look_again(self, changed: list[Path]) -> None:
        for path in changed:
            try:
                if path == self._revoked:
                    await self._revoke(path)
                else:
                    await self._reload(path)
            except UserError as error:
                logger.error("%s is not taken, what it said before stays: %s", path, error)  # noqa: TRY400  # the user's

    async def _revoke(self, path: Path) -> None:
        trust = self._now.trust
        if trust.identity.authority is not None:
            revoked = await asyncio.to_thread(
                read_revocations, path, trust.identity.authority, least=trust.revoked.number
            )
            logger.info("%s: list number %d, %d certificates revoked", path, revoked.number, len(revoked.serials))
            self._transport.revoke(revoked)

    async def _reload(self, path: Path) -> None:
        now = self._now
        loaded = await asyncio.to_thread(load_peers, path, now.overrides)
        if loaded.text == now.loaded.text:
            return
        me = next((node for node in loaded.peers.nodes if node.name == now.me.name), None)
        if me is None:
            raise ConfigError(f"nodes: {now.me.name}, which runs, is not among them")
        loaded = as_node(loaded, me)
        self._check_same(loaded, me)
        if loaded.peers.membership == "dynamic":
            # its nodes are only whom to join through
            self._now = replace(now, loaded=loaded)
            return
        schedule = schedule_of(loaded)
        self._take(loaded, schedule)

    def _check_same(self, loaded: LoadedPeers, me: NodeConfig) -> None:
        """Raises `ConfigError` where a restart is needed."""
        now = self._now
        before, after = now.loaded.experiment.experiment, loaded.experiment.experiment
        if _but_topology(before) != _but_topology(after):
            raise ConfigError("experiment: another, which takes a restart; nodes and topology may change")
        old_peers, new_peers = now.loaded.peers, loaded.peers
        kept: tuple[tuple[str, object, object], ...] = (
            ("membership", old_peers.membership, new_peers.membership),
            ("authority", old_peers.authority, new_peers.authority),
            (f"nodes.{me.name}", now.me, me),
        )
        for field, old, new in kept:
            if old != new:
                raise ConfigError(f"{field}: another than this node runs with, which takes a restart")

    def _take(self, loaded: LoadedPeers, schedule: Schedule) -> None:
        """Goes by a file that is read."""
        now, protocol = self._now, loaded.experiment.experiment.gossip.protocol
        rewired = schedule.digest() != now.schedule.digest()
        if rewired and protocol != "wait_free":
            raise ConfigError(
                f"topology: another graph while the run goes on needs gossip.protocol wait_free, not {protocol}: its "
                "nodes would have to change it in the same round; restart all of them"
            )
        neighbors = schedule.neighbors(now.me.name)
        identity = load_identity(
            loaded.peers, loaded.folder, now.me, neighbors=neighbors, insecure=now.trust.identity.insecure
        )
        if identity.certificate != now.trust.identity.certificate:
            raise CertificateError(f"nodes.{now.me.name}.certificate: another one, which takes a restart")
        now.trust.become(identity)
        self._now = replace(now, loaded=loaded, schedule=schedule)
        logger.info("%s: %d nodes, neighbors %s", loaded.path, len(loaded.peers.nodes), ", ".join(neighbors))
        if rewired:
            fingerprint = {**now.greeter.fingerprint, "schedule": schedule.digest()}
            now.greeter.fingerprint = fingerprint
            now.directory.note_experiment(fingerprint)
        now.common.terms = terms_of(loaded, now.me.name, now.greeter.fingerprint, insecure=now.trust.identity.insecure)
        self._rewire(loaded.peers.nodes, anew=rewired)

    def _rewire(self, nodes: "list[NodeConfig] | tuple[NodeConfig, ...]", *, anew: bool = False) -> None:
        schedule, me = self._now.schedule, self._now.me.name
        wanted = {*schedule.neighbors(me)}
        # before links come up or go down
        self._add(Rewired(schedule))
        self._transport.rewire([node for node in nodes if node.name in wanted], nodes, greet_anew=anew)


def _sign(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _but_topology(experiment: Experiment) -> Experiment:
    return experiment.model_copy(update={"topology": None})
