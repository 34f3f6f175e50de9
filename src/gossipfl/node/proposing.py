"""Asks all nodes for a common checkpoint, or to stop together: signed by one node's operator, brought to each node."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from gossipfl.config.loading import LoadedPeers, load_peers, resolve_self
from gossipfl.core.common import BRANCH, Plan, federation_of
from gossipfl.core.handshake import Greeting
from gossipfl.errors import ConfigError, NetworkError
from gossipfl.net.client import Line
from gossipfl.net.identity import load_identity
from gossipfl.net.pinning import Trust
from gossipfl.net.reports import StatusSnapshot
from gossipfl.node.agreeing import unfit
from gossipfl.node.vouching import Certified
from gossipfl.privacy.signing import Signer

T = TypeVar("T")
TIMEOUT_S = 5.0
AHEAD = 2
"""Phases before the one that is asked for by default: so that nobody is past it when the word comes."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of it.

    Attributes:
        plan: what was asked for.
        answers: by node; empty: it follows; None: it did not answer, or has no address: it hears it from its neighbors.
    """

    plan: Plan
    answers: Mapping[str, str | None]


async def ask_all(
    peers: Path, *, name: str | None, environ: Mapping[str, str], phase: int | None, stops: bool
) -> Asked:
    """Signs as this machine's node, and asks.

    Args:
        phase: after which all keep their state; default: a little ahead of the node that is farthest.

    Raises:
        UserError: the files are not what they should be, or no node follows.
    """
    loaded = load_peers(peers)
    me = resolve_self(loaded.peers, name, environ)
    if why := unfit(loaded, insecure=False):
        raise ConfigError(why)
    identity = load_identity(loaded.peers, loaded.folder, me, neighbors=(), insecure=False)
    trust = Trust(identity)
    async with AsyncExitStack() as stack:
        lines = {node.name: await stack.enter_async_context(Line(trust, node)) for node in loaded.peers.nodes}
        statuses = await _from_all(lines, lambda line: line.status(TIMEOUT_S))
        greetings = await _from_all(lines, lambda line: line.greeting(TIMEOUT_S))
        plan = _plan(loaded, me.name, greetings, _phase(loaded, statuses, phase), stops=stops)
        paper = Certified(identity, Signer.from_pem(identity.key), trust).paper(plan.text)
        answers = await _from_all(lines, lambda line: line.bring(paper.line, TIMEOUT_S))
    if "" not in answers.values():
        refusals = [f"{node}: {answer}" for node, answer in answers.items() if answer]
        raise NetworkError(f"no node follows: {'; '.join(refusals) or 'none answers'}")
    return Asked(plan, answers)


async def _from_all(lines: Mapping[str, Line], ask: Callable[[Line], Awaitable[T]]) -> dict[str, T]:
    answers = await asyncio.gather(*(ask(line) for line in lines.values()))
    return dict(zip(lines, answers, strict=True))


def _plan(loaded: LoadedPeers, me: str, greetings: Mapping[str, Greeting | None], phase: int, *, stops: bool) -> Plan:
    """Of what the own node says that it runs, or another where it cannot be asked: each follows only what it runs."""
    told = next((each for each in (greetings[me], *greetings.values()) if each is not None), None)
    if told is None:
        raise NetworkError("no node of peers.yaml answers: is one running?")
    return Plan(
        federation=federation_of(told.fingerprint),
        branch=told.fingerprint.get(BRANCH, ""),
        phase=phase,
        nodes=tuple(sorted(loaded.names)),
        stops=stops,
        asked_by=me,
    )


def _phase(loaded: LoadedPeers, statuses: Mapping[str, StatusSnapshot | None], wanted: int | None) -> int:
    phases = loaded.experiment.experiment.training.phases
    at = {name: status.phase for name, status in statuses.items() if status is not None}
    farthest = max(at, key=lambda name: at[name], default=None)
    if wanted is None:
        return min(phases, (at[farthest] if farthest else 0) + AHEAD)
    if not 1 <= wanted <= phases:
        raise ConfigError(f"--at-phase {wanted}: 1 to {phases} was expected, the phases of the run")
    if farthest is not None and at[farthest] > wanted:
        raise ConfigError(f"--at-phase {wanted}: {farthest} is at phase {at[farthest]} already")
    return wanted
