"""Nodes spread over the actors of a Ray cluster: the one door to Ray.

    driver: clock, protocols, network ── snapshots ──> actor: model, data and moments of its nodes ── increments ──> driver

Each actor trains its nodes one at a time, by the very code of the loop, so that the results are equal bit for bit.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from gossipfl.config.experiment import Experiment
from gossipfl.core.events import Clear, Train, Trained
from gossipfl.errors import ConfigError
from gossipfl.learning.evaluation import Evaluation
from gossipfl.privacy.publishing import Publisher
from gossipfl.sim.engines.loop import LoopEngine
from gossipfl.sim.fleet import Fleet, build_fleet
from gossipfl.sim.judging import Judgment, States
from gossipfl.sim.nodes import Setting
from gossipfl.sim.trainers import Moments
from gossipfl.state import AdapterState

if TYPE_CHECKING:
    from ray.actor import ActorHandle

T = TypeVar("T")


class Crew:
    """What lives in one actor: the fleet of its nodes."""

    def __init__(self, experiment: Experiment, setting: Setting, nodes: Sequence[str]) -> None:
        self._fleet: Fleet = build_fleet(experiment, setting, nodes)
        self._engine = LoopEngine(self._fleet)

    def initial(self) -> AdapterState:
        """Where every node starts."""
        return self._fleet.initial

    def compute(self, phases: Sequence[tuple[str, Train[AdapterState]]]) -> list[Trained[AdapterState]]:
        """See `Engine.compute`."""
        return self._engine.compute(phases)

    def judge(self, states: States) -> list[Judgment]:
        """See `Judge.judge`."""
        return self._fleet.judge(states)

    def judge_mean(self, state: AdapterState) -> Evaluation | None:
        """See `Judge.judge_mean`."""
        return self._fleet.judge_mean(state)

    def moments(self, nodes: Sequence[str]) -> dict[str, Moments]:
        """Of several nodes."""
        return {node: self._engine.moments(node) for node in nodes}

    def restore(self, moments: Mapping[str, Moments]) -> None:
        """Of several nodes."""
        for node, own in moments.items():
            self._engine.restore(node, own)

    def accounts(self) -> dict[str, Any]:
        """See `Fleet.accounts`."""
        return self._fleet.accounts()

    def restore_accounts(self, states: Mapping[str, Any]) -> None:
        """See `Fleet.restore_accounts`."""
        self._fleet.restore_accounts(states)

    def epsilon(self) -> float | None:
        """See `Fleet.epsilon`."""
        return self._fleet.epsilon()


class Cluster:
    """A fleet and its engine, spread over actors; what `Fleet` and `LoopEngine` are in one process.

    Args:
        address: of a running cluster; None starts one on this machine.

    Raises:
        ConfigError: Ray is not installed, or nobody answers at the address.
        UserError: see `build_fleet`.
    """

    name = "ray"

    def __init__(self, experiment: Experiment, setting: Setting, *, address: str | None) -> None:
        self._ray = _ray()
        self._started = _connect(self._ray, address, setting.simulation.actors)
        crews = [setting.names[place :: setting.simulation.actors] for place in range(setting.simulation.actors)]
        make = self._ray.remote(Crew)
        self._actors: list[ActorHandle[Crew]] = [make.remote(experiment, setting, crew) for crew in crews if crew]
        self._home = {name: place for place, crew in enumerate(crews) for name in crew}
        self._receipts: dict[str, _Paid] = {name: _Paid() for name in setting.names}
        self.initial: AdapterState = self._get([self._actors[0].initial.remote()])[0]

    def close(self) -> None:
        """Ends the actors, and the cluster if it was started here."""
        for actor in self._actors:
            self._ray.kill(actor)
        self._ray.shutdown()

    # ---- engine ----

    def compute(self, phases: Sequence[tuple[str, Train[AdapterState]]]) -> list[Trained[AdapterState]]:
        """See `Engine.compute`."""
        results = self._spread(phases, lambda actor, part: actor.compute.remote(part))
        for (node, _), trained in zip(phases, results, strict=True):
            self._receipts[node].steps = trained.receipt.steps
        return results

    def moments(self, node: str) -> Moments:
        """See `Engine.moments`."""
        found: dict[str, Moments] = self._get([self._actor(node).moments.remote([node])])[0]
        return found[node]

    def restore(self, node: str, moments: Moments) -> None:
        """See `Engine.restore`."""
        self._get([self._actor(node).restore.remote({node: moments})])

    # ---- fleet ----

    def judge(self, states: States) -> list[Judgment]:
        """See `Judge.judge`."""
        return self._spread(states, lambda actor, part: actor.judge.remote(part))

    def judge_mean(self, state: AdapterState) -> Evaluation | None:
        """See `Judge.judge_mean`."""
        found: Evaluation | None = self._get([self._actors[0].judge_mean.remote(state)])[0]
        return found

    def accounts(self) -> dict[str, Any]:
        """See `Fleet.accounts`."""
        parts = self._get([actor.accounts.remote() for actor in self._actors])
        return {name: state for part in parts for name, state in part.items()}
